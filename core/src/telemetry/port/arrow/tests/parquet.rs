//! Parquet files, through their own reader.

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use bytes::Bytes;

use super::*;
use crate::telemetry::port::parquet::export;

/// The cells of batches, whatever their sizes and dictionaries.
fn cells(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let cell = |batch: &RecordBatch, at: usize, row: usize| {
        let array = batch.column(at);
        match array.data_type() {
            _ if array.is_null(row) => "null".to_owned(),
            DataType::Float64 => {
                let numbers = array.as_any().downcast_ref::<Float64Array>().unwrap();
                format!("{:x}", numbers.value(row).to_bits())
            }
            DataType::Timestamp(..) => {
                array.as_any().downcast_ref::<TimestampMillisecondArray>().unwrap().value(row).to_string()
            }
            _ => format!("{:?}", text(array, row)),
        }
    };
    let line = |batch: &RecordBatch, row| (0..batch.num_columns()).map(|at| cell(batch, at, row)).collect();
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| line(batch, row))).collect()
}

fn read(file: &Bytes) -> (SchemaRef, usize, Vec<RecordBatch>) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
    let (schema, groups) = (Arc::clone(builder.schema()), builder.metadata().num_row_groups());
    (schema, groups, builder.build().unwrap().map(Result::unwrap).collect())
}

#[test]
fn a_file_reads_back_as_what_was_exported() {
    let telemetry = with_gaps(700);
    for texts in [false, true] {
        let query = query(None, texts);
        let mut file = Vec::new();
        let done = telemetry.export_parquet(&query, &mut file).unwrap();
        assert_eq!((done.rows, done.things, done.bytes), (2_100, 3, file.len() as u64));
        let file = Bytes::from(file);
        let (schema, groups, back) = read(&file);
        let ours = all(&telemetry, &query);
        assert_eq!((schema, groups), (ours[0].schema(), 1));
        assert_eq!(cells(&back), cells(&ours));
        compare(&telemetry, &query, &back);
    }
}

#[test]
fn row_groups_are_bounded_in_rows_and_bytes() {
    let telemetry = with_gaps(6_000);
    let query = query(None, true);
    let ours = cells(&all(&telemetry, &query));
    for (most, groups) in [((7_000, usize::MAX), 3), ((usize::MAX, 1), 3)] {
        let mut file = Vec::new();
        export(&telemetry, &query, &mut file, most).unwrap();
        let (_, found, back) = read(&Bytes::from(file));
        assert!(found >= groups, "{found} for {most:?}");
        assert_eq!(cells(&back), ours);
    }
}

#[test]
fn nothing_is_a_whole_file_and_a_full_output_is_told() {
    let telemetry = with_gaps(300);
    let nothing = ExportQuery { things: vec![thing("nobody")], ..query(Some(&["a"]), false) };
    let mut file = Vec::new();
    assert_eq!(telemetry.export_parquet(&nothing, &mut file).unwrap().rows, 0);
    let file = Bytes::from(file);
    assert!(file.len() > 8 && read(&file).2.is_empty());
    let mut full = [0_u8; 100];
    let e = telemetry.export_parquet(&query(None, true), &mut full[..]).unwrap_err();
    assert_eq!(e.code(), code::OUTPUT);
    let e = telemetry.export_parquet(&query(Some(&["a", "a"]), true), Vec::new()).unwrap_err();
    assert_eq!(e.fact("field"), Some("members"));
}
