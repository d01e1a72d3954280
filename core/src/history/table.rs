use std::{collections::HashMap, sync::Arc};

use super::types::Shape;

/// Rows of one owner, column by column, on their way into a chunk or out of one.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub ts: Vec<i64>,
    pub seq: Vec<u64>,
    pub members: Vec<Box<str>>,
    pub columns: Vec<Vec<f64>>,
    /// Row and text, ordered by row.
    pub texts: Vec<(usize, Arc<str>)>,
    index: HashMap<Box<str>, usize>,
    /// Where the members of the shape that came last stand.
    last: Option<(Arc<Shape>, Vec<usize>)>,
}

impl Table {
    pub fn rows(&self) -> usize {
        self.ts.len()
    }

    pub fn values(&self) -> usize {
        self.rows() * self.columns.len().max(1)
    }

    /// Empties it; what was allocated serves the next owner, should that have the same shape.
    pub fn clear(&mut self) {
        self.ts.clear();
        self.seq.clear();
        self.texts.clear();
        self.columns.iter_mut().for_each(Vec::clear);
    }

    fn place(&mut self, shape: &Arc<Shape>) {
        let rows = self.rows();
        if let Some((last, places)) = &self.last
            && Arc::ptr_eq(last, shape)
            && (rows > 0 || places.len() == self.columns.len())
        {
            return;
        }
        if rows == 0 {
            // Members of another owner stay away.
            *self = Self::default();
        }
        let mut places = Vec::with_capacity(shape.len());
        for member in shape.members() {
            let place = match self.index.get(member) {
                Some(place) => *place,
                None => {
                    let place = self.columns.len();
                    self.index.insert(member.clone(), place);
                    self.members.push(member.clone());
                    self.columns.push(vec![f64::NAN; rows]);
                    place
                }
            };
            places.push(place);
        }
        self.last = Some((shape.clone(), places));
    }

    pub fn push(&mut self, ts: i64, seq: u64, shape: &Arc<Shape>, values: &[f64], text: Option<&str>) {
        self.place(shape);
        let row = self.rows();
        if let Some((_, places)) = &self.last {
            for (place, x) in places.iter().zip(values) {
                self.columns[*place].push(*x);
            }
            if places.len() < self.columns.len() {
                self.columns.iter_mut().for_each(|column| column.resize(row + 1, f64::NAN));
            }
        }
        self.texts.extend(text.map(|text| (row, Arc::from(text))));
        self.ts.push(ts);
        self.seq.push(seq);
    }

    /// Appends all rows of a chunk.
    pub fn extend(&mut self, shape: &Arc<Shape>, chunk: Chunk) {
        self.place(shape);
        let row = self.rows();
        let rows = row + chunk.ts.len();
        if let Some((_, places)) = &self.last {
            for (place, column) in places.iter().zip(&chunk.columns) {
                self.columns[*place].extend_from_slice(column);
            }
        }
        self.columns.iter_mut().for_each(|column| column.resize(rows, f64::NAN));
        self.texts.extend(chunk.texts.into_iter().map(|(at, text)| (row + at, text)));
        self.ts.extend(chunk.ts);
        self.seq.extend(chunk.seq);
    }

    /// Orders the rows by time and sequence.
    pub fn sort(&mut self) {
        let key = |i: usize| (self.ts[i], self.seq[i]);
        if (1..self.rows()).all(|i| key(i - 1) <= key(i)) {
            return;
        }
        let mut order: Vec<usize> = (0..self.rows()).collect();
        order.sort_unstable_by_key(|i| key(*i));
        self.ts = order.iter().map(|i| self.ts[*i]).collect();
        self.seq = order.iter().map(|i| self.seq[*i]).collect();
        for column in &mut self.columns {
            *column = order.iter().map(|i| column[*i]).collect();
        }
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
        self.texts.iter_mut().for_each(|(row, _)| *row = place[*row]);
        self.texts.sort_by_key(|(row, _)| *row);
    }
}

/// What was read of one chunk.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub ts: Vec<i64>,
    pub seq: Vec<u64>,
    pub columns: Vec<Vec<f64>>,
    pub texts: Vec<(usize, Arc<str>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_several_shapes_are_put_in_order() {
        let (a, b) = (Shape::new(["x", "y"]).unwrap(), Shape::new(["y", "z"]).unwrap());
        let mut table = Table::default();
        table.push(20, 1, &a, &[1.0, 2.0], Some("one"));
        table.push(10, 2, &b, &[3.0, 4.0], None);
        table.push(10, 3, &a, &[5.0, 6.0], Some("two"));
        table.sort();
        assert_eq!((&table.ts[..], &table.seq[..]), (&[10, 10, 20][..], &[2, 3, 1][..]));
        let show = |i: usize| table.columns[i].iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!([show(0), show(1), show(2)], ["NaN 5 1", "3 6 2", "4 NaN NaN"]);
        let texts: Vec<_> = table.texts.iter().map(|(row, text)| (*row, &**text)).collect();
        assert_eq!(texts, [(1, "two"), (2, "one")]);
    }
}
