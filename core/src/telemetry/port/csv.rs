//! Fields and lines of RFC 4180.

use std::{fmt::Write as _, io};

use super::failed;
use crate::Result;

/// A field that begins with one of these is a formula to spreadsheets.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// Writes lines.
pub(super) struct Csv<'a> {
    out: &'a mut dyn io::Write,
    line: String,
    is_first: bool,
    pub bytes: u64,
}

impl<'a> Csv<'a> {
    pub const fn new(out: &'a mut dyn io::Write) -> Self {
        Self { out, line: String::new(), is_first: true, bytes: 0 }
    }

    fn next(&mut self) {
        if !std::mem::replace(&mut self.is_first, false) {
            self.line.push(',');
        }
    }

    pub fn empty(&mut self) {
        self.next();
    }

    /// A number, or what else needs no care.
    pub fn plain(&mut self, field: &str) {
        self.next();
        self.line.push_str(field);
    }

    /// A number in the shortest form that leads back to it.
    pub fn number(&mut self, x: f64) {
        self.next();
        let size = x.abs();
        // Writing to a `String` cannot fail.
        let _ = match size == 0.0 || (1e-6..1e21).contains(&size) {
            true => write!(self.line, "{x}"),
            false => write!(self.line, "{x:e}"),
        };
    }

    /// A text: what a spreadsheet would compute has a `'` before it.
    pub fn text(&mut self, text: &str) {
        self.next();
        let quoted = text.contains(['"', ',', '\r', '\n']);
        if quoted {
            self.line.push('"');
        }
        if text.starts_with(FORMULA) {
            self.line.push('\'');
        }
        for c in text.chars() {
            if c == '"' {
                self.line.push('"');
            }
            self.line.push(c);
        }
        if quoted {
            self.line.push('"');
        }
    }

    pub fn end(&mut self) -> Result<()> {
        self.line.push_str("\r\n");
        self.out.write_all(self.line.as_bytes()).map_err(failed)?;
        self.bytes += self.line.len() as u64;
        self.line.clear();
        self.is_first = true;
        Ok(())
    }

    pub fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(fill: impl FnOnce(&mut Csv<'_>)) -> String {
        let mut out = Vec::new();
        let mut csv = Csv::new(&mut out);
        fill(&mut csv);
        csv.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_quoted_and_formulas_are_not_computed() {
        let of = |text: &str| line(|csv| csv.text(text));
        assert_eq!(of("a,b"), "\"a,b\"\r\n");
        assert_eq!(of("say \"hi\""), "\"say \"\"hi\"\"\"\r\n");
        for begin in ["=", "+", "-", "@"] {
            assert_eq!(of(&format!("{begin}1")), format!("'{begin}1\r\n"));
        }
        assert_eq!(of("\tx"), "'\tx\r\n");
        assert_eq!(of("\rx"), "\"'\rx\"\r\n");
        assert_eq!(of("a=1"), "a=1\r\n");
        let numbers = [-5.0, 26.0, 0.1, 1e300, -2.5e-9, -0.0, f64::MAX, 1e20];
        let row = line(|csv| numbers.into_iter().for_each(|x| csv.number(x)));
        assert_eq!(row, "-5,26,0.1,1e300,-2.5e-9,-0,1.7976931348623157e308,100000000000000000000\r\n");
        assert_eq!(line(|csv| (0..3).for_each(|_| csv.empty())), ",,\r\n");
    }

    proptest! {
        #[test]
        fn numbers_lead_back_and_texts_are_one_field(bits: u64, text: String) {
            let x = f64::from_bits(bits);
            prop_assume!(x.is_finite());
            let back: f64 = line(|csv| csv.number(x)).trim_end().parse().unwrap();
            prop_assert_eq!(back.to_bits(), bits);
            let field = line(|csv| csv.text(&text));
            let field = field.strip_suffix("\r\n").unwrap();
            let inner = match field.strip_prefix('"') {
                Some(rest) => rest.strip_suffix('"').unwrap().replace("\"\"", "\""),
                None => { prop_assert!(!field.contains([',', '\n', '\r', '"'])); field.to_owned() }
            };
            prop_assert!(!inner.starts_with(FORMULA));
            prop_assert_eq!(if text.starts_with(FORMULA) { &inner[1..] } else { &inner[..] }, text);
        }
    }
}
