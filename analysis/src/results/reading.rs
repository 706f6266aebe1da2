//! Reads back the Parquet files that [`Table::to_parquet_with`] writes.

use std::fs::File;
use std::path::Path;

use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{Column, ResultsError, Table, Values};

/// The most rows of a file that is read: far beyond the metrics of any run.
const MOST_ROWS: i64 = 100_000_000;

fn open(path: &Path) -> Result<SerializedFileReader<File>, ResultsError> {
    let file = File::open(path).map_err(|source| ResultsError::File { path: path.to_owned(), source })?;
    SerializedFileReader::new(file).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, problem: impl std::fmt::Display) -> ResultsError {
    ResultsError::Unreadable {
        path: path.to_owned(),
        problem: format!("not a Parquet file of sxlab: {problem}"),
    }
}

/// The text of one note in the file's metadata.
///
/// # Errors
/// [`ResultsError::File`], [`ResultsError::Unreadable`] also when there is no such note.
pub fn note_of_parquet(path: &Path, key: &str) -> Result<String, ResultsError> {
    let reader = open(path)?;
    let notes = reader.metadata().file_metadata().key_value_metadata();
    let note = notes.into_iter().flatten().find(|note| note.key == key);
    note.and_then(|note| note.value.clone()).ok_or_else(|| unreadable(path, format_args!("it has no {key}")))
}

/// The table, under the name given.
///
/// # Errors
/// [`ResultsError::File`], [`ResultsError::Unreadable`].
pub fn table_of_parquet(path: &Path, name: &str) -> Result<Table, ResultsError> {
    let reader = open(path)?;
    let fields = reader.metadata().file_metadata().schema_descr().columns().to_vec();
    let mut columns: Vec<Column> = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(|error| unreadable(path, error))?;
        let rows = group.metadata().num_rows();
        let rows = usize::try_from(rows.clamp(0, MOST_ROWS)).unwrap_or_default();
        for (place, field) in fields.iter().enumerate() {
            let column = group.get_column_reader(place).map_err(|error| unreadable(path, error))?;
            let values = values(column, rows).map_err(|error| unreadable(path, error))?;
            match columns.get_mut(place).map(|column| &mut column.values) {
                None => columns.push(Column { name: field.name().to_owned(), values }),
                Some(before) => append(before, values).map_err(|error| unreadable(path, error))?,
            }
        }
    }
    if columns.is_empty() {
        return Err(unreadable(path, "it has no rows"));
    }
    Table::new(name, columns)
}

fn append(before: &mut Values, after: Values) -> Result<(), ParquetError> {
    match (before, after) {
        (Values::U64(a), Values::U64(b)) => a.extend(b),
        (Values::F64(a), Values::F64(b)) => a.extend(b),
        (Values::Text(a), Values::Text(b)) => a.extend(b),
        _ => return Err(ParquetError::General("a column changes its type".to_owned())),
    }
    Ok(())
}

fn values(column: ColumnReader, rows: usize) -> Result<Values, ParquetError> {
    let mut levels = Vec::new();
    /// Reads all rows of one type.
    macro_rules! read {
        ($reader:ident, $convert:expr) => {{
            let mut present = Vec::new();
            let mut left = rows;
            while left > 0 {
                let (read, ..) = $reader.read_records(left, Some(&mut levels), None, &mut present)?;
                if read == 0 {
                    return Err(ParquetError::General("it ends too early".to_owned()));
                }
                left -= read;
            }
            let mut present = present.into_iter();
            let mut cells = Vec::with_capacity(levels.len());
            for &level in &levels {
                cells.push(match level {
                    0 => None,
                    _ => present.next().map($convert).transpose()?,
                });
            }
            cells
        }};
    }
    Ok(match column {
        ColumnReader::Int64ColumnReader(mut reader) => {
            Values::U64(read!(reader, |n: i64| Ok::<_, ParquetError>(n.cast_unsigned())))
        }
        ColumnReader::DoubleColumnReader(mut reader) => {
            Values::F64(read!(reader, |x: f64| Ok::<_, ParquetError>(x)))
        }
        ColumnReader::ByteArrayColumnReader(mut reader) => {
            Values::Text(read!(reader, |text: parquet::data_type::ByteArray| text
                .as_utf8()
                .map(str::to_owned)))
        }
        _ => return Err(ParquetError::General("a column has a type that sxlab does not write".to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("sxlab-{name}-{}.parquet", std::process::id()));
        std::fs::write(&path, content).unwrap();
        path
    }

    fn table() -> Table {
        let column = |name: &str, values| Column { name: name.to_owned(), values };
        let columns = vec![
            column("n", Values::U64(vec![Some(0), None, Some(u64::MAX)])),
            column("x", Values::F64(vec![None, Some(0.1), Some(-1e-300)])),
            column("text", Values::Text(vec![Some(String::new()), Some("ä\n".to_owned()), None])),
        ];
        Table::new("sample", columns).unwrap()
    }

    #[test]
    fn a_table_reads_back_with_its_notes() {
        let path = file("reads-back", &table().to_parquet_with(&[("a", "b"), ("sxlab", "{}")]).unwrap());
        assert_eq!(table_of_parquet(&path, "sample").unwrap(), table());
        assert_eq!(note_of_parquet(&path, "sxlab").unwrap(), "{}");
        assert!(note_of_parquet(&path, "other").unwrap_err().to_string().contains("it has no other"));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn no_cut_or_altered_file_is_read_as_something_else() {
        let good = table().to_parquet_with(&[("sxlab", "{}")]).unwrap();
        for length in 0..good.len() {
            let path = file("cut", &good[..length]);
            assert!(table_of_parquet(&path, "sample").is_err(), "{length} of {} bytes", good.len());
            std::fs::remove_file(&path).unwrap();
        }
    }
}
