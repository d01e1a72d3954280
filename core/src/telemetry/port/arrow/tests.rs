//! Batches against the CSV export, through Arrow's own readers.

#[cfg(feature = "parquet")]
mod parquet;

use arrow_array::{
    Float64Array, StringArray, TimestampMillisecondArray, cast::AsArray, ffi::from_ffi,
    ffi_stream::RecordBatchStreamReader, types::Int32Type,
};
use arrow_schema::DataType;
use serde_json::json;

use super::*;
use crate::{
    history::{Disk, MemDisk, Sample, Shape},
    io::Timestamp,
    telemetry::{
        Aggregate, Over, SeriesAnswer, SeriesQuery, Step, ThingsOf,
        port::{
            code,
            tests::{ALL, DAY, NOON, import, line, open, open_on, thing},
        },
    },
};

/// Things whose readings have gaps: members that come and go, infinite numbers, texts, a member that is now a number
/// and then a text, days without anything, two readings of one ms.
fn with_gaps(rows: usize) -> Telemetry {
    let telemetry = open();
    let mut rng = fastrand::Rng::with_seed(11);
    let names = ["a", "b.c", "mixed", "z"];
    let notes = ["on", "=1+1", "say \"hi\", you", "two\r\nlines", "ü", ""];
    for name in ["m1", "m2", "-m3"] {
        let mut ts = NOON;
        for row in 0..rows {
            ts += [0, 1_000, 60_000, 5_000, 1_000, 1_000][rng.usize(..6)];
            ts += if row % (rows / 4) == 9 { 2 * DAY } else { 0 };
            let members: Vec<&str> = names.into_iter().filter(|_| rng.u32(..3) > 0).collect();
            let is_mixed = members.contains(&"mixed");
            let shape = Shape::new(members.iter().copied()).unwrap();
            let mut number = || match rng.u32(..8) {
                0 => 0.0,
                1 => -0.0,
                2 => f64::INFINITY,
                3 => f64::from_bits(rng.u64(..)),
                _ => f64::from(rng.i32(-5_000..5_000)) / 10.0,
            };
            let values: Vec<f64> = members.iter().map(|_| number()).collect();
            let mut texts = json!({"note": notes[rng.usize(..notes.len())], "on": rng.bool(), "none": null});
            if !is_mixed && rng.bool() {
                texts["mixed"] = json!("12a");
            }
            let texts = (rng.u32(..4) == 0 || row == 0).then(|| texts.to_string());
            let sample = Sample {
                owner: name,
                ts: Timestamp(ts),
                shape: &shape,
                values: &values,
                texts: texts.as_deref(),
            };
            telemetry.readings().append(&[sample]).unwrap();
        }
    }
    telemetry
}

fn query(members: Option<&[&str]>, with_texts: bool) -> ExportQuery {
    ExportQuery {
        things: ["m2", "m1", "nobody", "-m3", "m1"].map(thing).into(),
        members: members.map(|names| names.iter().map(ToString::to_string).collect()),
        range: ALL,
        with_texts,
    }
}

/// The fields of a CSV text, line by line, without the `'` before what a spreadsheet would compute.
fn fields(csv: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, csv.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => line.push(std::mem::take(&mut field)),
            '\r' if !quoted => {
                assert_eq!(chars.next(), Some('\n'));
                line.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut line));
            }
            other => field.push(other),
        }
    }
    let plain = |field: &str| match field.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => rest.to_owned(),
        _ => field.to_owned(),
    };
    lines.iter().map(|line| line.iter().map(|field| plain(field)).collect()).collect()
}

fn text(array: &dyn Array, row: usize) -> Option<String> {
    let texts = array.as_dictionary::<Int32Type>();
    let key = texts.key(row)?;
    Some(texts.values().as_any().downcast_ref::<StringArray>().unwrap().value(key).to_owned())
}

/// What the CSV export says of a cell: the number, else the text, else nothing.
fn same(batch: &RecordBatch, row: usize, name: &str, csv: &str) -> bool {
    let found = |name: &str| batch.column_by_name(name);
    let number = found(name).filter(|array| *array.data_type() == DataType::Float64);
    let number = number.map(|array| array.as_any().downcast_ref::<Float64Array>().unwrap());
    if let Some(numbers) = number.filter(|numbers| numbers.is_valid(row)) {
        assert!(numbers.value(row).is_finite());
        return csv.parse::<f64>().is_ok_and(|x| x.to_bits() == numbers.value(row).to_bits());
    }
    let texts = match number {
        Some(_) => found(&format!("{name} (text)")),
        None => found(name),
    };
    // An empty field is an empty text, or nothing.
    texts.and_then(|texts| text(texts, row)).unwrap_or_default() == csv
}

fn compare(telemetry: &Telemetry, query: &ExportQuery, batches: &[RecordBatch]) -> usize {
    let mut csv = Vec::new();
    let done = telemetry.export_csv(query, &mut csv).unwrap();
    let table = fields(std::str::from_utf8(&csv).unwrap());
    let (header, lines) = table.split_first().unwrap();
    let mut lines = lines.iter();
    for batch in batches {
        let ts = batch.column(0).as_any().downcast_ref::<TimestampMillisecondArray>().unwrap();
        for row in 0..batch.num_rows() {
            let line = lines.next().unwrap();
            assert_eq!(
                (ts.value(row).to_string(), text(batch.column(1), row).unwrap()),
                (line[1].clone(), line[2].clone())
            );
            for (name, cell) in header.iter().zip(line).skip(3) {
                assert!(same(batch, row, name, cell), "row {row}, {name}: {cell} in {batch:?}");
            }
        }
    }
    assert_eq!(lines.next(), None);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, done.rows);
    table.len() - 1
}

fn all(telemetry: &Telemetry, query: &ExportQuery) -> Vec<RecordBatch> {
    let mut batches = telemetry.batches(query).unwrap();
    let out: Vec<_> = batches.by_ref().map(Result::unwrap).collect();
    let csv = telemetry.export_csv(query, &mut Vec::new()).unwrap();
    assert_eq!(*batches.exported(), Exported { bytes: 0, ..csv });
    assert!(out.iter().all(|batch| batch.schema() == batches.schema()));
    out
}

#[test]
fn batches_say_what_the_csv_export_says() {
    let telemetry = with_gaps(700);
    let named: &[&str] = &["z", "note", "unknown", "mixed", "b.c"];
    for (members, texts) in [(None, false), (None, true), (Some(named), false), (Some(named), true)] {
        let query = query(members, texts);
        let batches = all(&telemetry, &query);
        assert_eq!(compare(&telemetry, &query, &batches), 2_100);
        let nulls: usize = batches.iter().flat_map(|b| b.columns().iter().map(|c| c.null_count())).sum();
        assert!(nulls > 1_000, "{nulls}");
    }
    let schema = telemetry.batches(&query(None, true)).unwrap().schema();
    let columns: Vec<_> =
        schema.fields().iter().map(|field| (field.name().as_str(), field.data_type().clone())).collect();
    let (number, text) = (DataType::Float64, columns::texts());
    let expected = [
        ("ts", columns::time()),
        ("thing", text.clone()),
        ("a", number.clone()),
        ("b.c", number.clone()),
        ("mixed", number.clone()),
        ("mixed (text)", text.clone()),
        ("z", number),
        ("none", text.clone()),
        ("note", text.clone()),
        ("on", text),
    ];
    assert_eq!(columns, expected);
}

#[test]
fn batches_are_bounded_in_rows_and_in_numbers() {
    let telemetry = with_gaps(600);
    for with_texts in [true, false] {
        let query = query(None, with_texts);
        let mut batches = telemetry.batches(&query).unwrap();
        assert_eq!(batches.most_rows, MAX_BATCH_ROWS);
        batches.most_rows = 700;
        let batches: Vec<_> = batches.map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [700, 700, 400]);
        compare(&telemetry, &query, &batches);
    }
    let names: Vec<String> = (0..16_384).map(|n| format!("x{n}")).collect();
    let mut wide = ExportQuery { members: Some(names), ..query(None, false) };
    let mut batches = telemetry.batches(&wide).unwrap();
    assert_eq!(batches.next().unwrap().unwrap().num_rows(), 256);
    wide.members.as_mut().unwrap().push("a".into());
    assert_eq!(telemetry.batches(&wide).unwrap_err().code(), code::COLUMNS);
}

#[test]
fn long_texts_end_a_batch() {
    let telemetry = open();
    let shape = Shape::new(["a"]).unwrap();
    for row in 0..40 {
        let texts = json!({"note": format!("{row}{}", "x".repeat(900_000))}).to_string();
        let ts = Timestamp(NOON + row);
        let sample = Sample { owner: "m1", ts, shape: &shape, values: &[1.0], texts: Some(&texts) };
        telemetry.readings().append(&[sample]).unwrap();
    }
    let sizes: Vec<_> = all(&telemetry, &query(None, true)).iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [19, 19, 2]);
}

#[test]
fn the_c_interfaces_give_the_same() {
    let telemetry = with_gaps(300);
    for texts in [false, true] {
        let query = query(None, texts);
        let ours = all(&telemetry, &query);
        let stream = telemetry.batches(&query).unwrap().into_ffi().unwrap();
        let reader = RecordBatchStreamReader::try_new(stream).unwrap();
        assert_eq!(reader.schema(), ours[0].schema());
        assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), ours);
        for batch in ours {
            assert_eq!(through_c(batch.clone()), batch);
        }
    }
}

/// A batch that went through the C data interface. Its buffers were not copied.
fn through_c(batch: RecordBatch) -> RecordBatch {
    let before: Vec<_> = batch.columns().iter().map(|array| array.to_data().buffers()[0].as_ptr()).collect();
    let (array, schema) = into_ffi(batch).unwrap();
    #[allow(unsafe_code, reason = "the two are of one batch, and this is the reader that others have")]
    let data = unsafe { from_ffi(array, &schema) }.unwrap();
    let back = RecordBatch::from(StructArray::from(data));
    let after: Vec<_> = back.columns().iter().map(|array| array.to_data().buffers()[0].as_ptr()).collect();
    assert_eq!(before, after);
    back
}

fn ask(telemetry: &Telemetry, change: impl FnOnce(&mut SeriesQuery)) -> SeriesAnswer {
    let ids = ThingsOf::Ids(["m1", "m2"].map(thing).into());
    let mut query = SeriesQuery::new(ids, "a", Timestamp(NOON)..Timestamp(NOON + 600_000));
    query.interval = Some(std::time::Duration::from_secs(20));
    change(&mut query);
    telemetry.series(&query).unwrap()
}

/// Values of a column by name.
fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> &'a Float64Array {
    batch.column_by_name(name).unwrap().as_any().downcast_ref().unwrap()
}

fn ms<'a>(batch: &'a RecordBatch, name: &str) -> &'a TimestampMillisecondArray {
    batch.column_by_name(name).unwrap().as_any().downcast_ref().unwrap()
}

#[test]
fn series_have_a_row_for_each_value_and_null_for_what_nobody_knew() {
    let telemetry = with_gaps(200);
    for over in [Over::Each, Over::Together] {
        let answer = ask(&telemetry, |query| {
            (query.over, query.step, query.aggregate) = (over, Step::Fixed(10_000), Aggregate::Mean);
        });
        let batch = through_c(answer.to_arrow().unwrap());
        let mut row = 0;
        for column in &answer.columns {
            for (step, point) in answer.steps.iter().zip(column.points()) {
                let thing = text(batch.column_by_name("thing").unwrap(), row);
                assert_eq!(thing.as_deref(), column.thing.as_ref().map(crate::ThingId::as_str));
                assert_eq!(
                    (ms(&batch, "start").value(row), ms(&batch, "end").value(row)),
                    (step.start.0, step.end.0)
                );
                let value = numbers(&batch, "value");
                assert_eq!(value.is_valid(row).then(|| value.value(row)), point.value);
                assert_eq!(numbers(&batch, "coverage").value(row), point.coverage);
                assert_eq!(numbers(&batch, "contributors").value(row), point.contributors);
                row += 1;
            }
        }
        assert_eq!((batch.num_rows(), row), (row, answer.columns.len() * 60));
        assert!((1..row).contains(&numbers(&batch, "value").null_count()));
    }
}

#[test]
fn raw_samples_keep_their_times_and_gaps() {
    let telemetry = with_gaps(200);
    let answer = ask(&telemetry, |query| query.step = Step::Raw);
    let batch = through_c(answer.to_arrow().unwrap());
    let samples: Vec<_> =
        answer.columns.iter().flat_map(|c| c.samples().iter().map(|s| (&c.thing, s))).collect();
    assert_eq!(batch.num_rows(), samples.len());
    let value = numbers(&batch, "value");
    assert!((1..samples.len()).contains(&value.null_count()));
    for (row, (thing, sample)) in samples.into_iter().enumerate() {
        assert_eq!(text(batch.column(0), row).as_deref(), thing.as_ref().map(crate::ThingId::as_str));
        assert_eq!(ms(&batch, "ts").value(row), sample.ts.0);
        assert_eq!(value.is_valid(row).then(|| value.value(row)), sample.value);
    }
    let nothing = SeriesAnswer::default().to_arrow().unwrap();
    assert_eq!((nothing.num_rows(), nothing.num_columns()), (0, 3));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let telemetry = open();
    let snap = json!({"ts": 5, "a": 1.0, "b (text)": 7, "b": 2, "x\u{0}y": 3});
    import(
        &telemetry,
        &line("m1", &[json!({"ts": NOON, "snap": snap}), json!({"ts": NOON + 1, "snap": {"b": "5b"}})]),
    );
    for members in [&["a", "a"][..], &["ts"], &["thing"], &["b", "b (text)"]] {
        let e = telemetry.batches(&query(Some(members), true)).unwrap_err();
        assert_eq!((e.kind(), e.fact("field")), (ErrorKind::Invalid, Some("members")), "{members:?}: {e}");
    }
    let e = telemetry.batches(&query(None, false)).unwrap_err();
    assert_eq!(e.fact("member"), Some("ts"));
    let query = query(Some(&["x\u{0}y"]), false);
    assert_eq!(all(&telemetry, &query)[0].num_rows(), 2);
    let e = telemetry.batches(&query).unwrap().into_ffi().unwrap_err();
    assert_eq!(e.fact("field"), Some("members"));
    let empty = ExportQuery { things: vec![thing("nobody")], ..query };
    assert!(all(&telemetry, &empty).is_empty());
}

#[test]
fn damage_ends_the_batches_with_its_error() {
    let (disk, other) = (MemDisk::new(1), MemDisk::new(2));
    let telemetry = open_on(&disk, &other);
    let rows =
        |day: i64| (0..50).map(move |i| json!({"ts": NOON + day * DAY + i, "snap": {"a": i as f64 + 0.1}}));
    import(&telemetry, &line("m1", &rows(0).chain(rows(3)).collect::<Vec<_>>()));
    telemetry.readings().commit().unwrap();
    let now = Timestamp(NOON + 399 * DAY);
    telemetry.readings().rotate(now).unwrap();
    while telemetry.readings().maintain(now).unwrap().is_some() {}
    let query = query(Some(&["a"]), false);
    assert_eq!(all(&telemetry, &query)[0].num_rows(), 100);
    telemetry.close().unwrap();
    let telemetry = open_on(&disk, &other);
    let names = disk.list().unwrap();
    let (file, _) = names.iter().find(|(name, _)| name.starts_with("2025-11-29")).unwrap();
    (0..32).for_each(|at| disk.flip(file, 40 + at));

    let mut batches = telemetry.batches(&query).unwrap();
    let e = batches.find_map(Result::err).unwrap();
    assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
    assert!(batches.next().is_none());
    let stream = telemetry.batches(&query).unwrap().into_ffi().unwrap();
    let told = RecordBatchStreamReader::try_new(stream).unwrap().find_map(Result::err).unwrap().to_string();
    assert!(told.contains(&e.to_string()), "{told}");
}
