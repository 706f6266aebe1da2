//! Tables of named, nullable columns, as CSV and as Parquet.

use std::collections::BTreeSet;
use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use super::ResultsError;

/// The values of one column; `None` is "no value".
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Counts, times in nanoseconds, identifiers.
    U64(Vec<Option<u64>>),
    /// Everything estimated.
    F64(Vec<Option<f64>>),
    /// Names.
    Text(Vec<Option<String>>),
}

impl Values {
    /// Rows of the column.
    pub fn len(&self) -> usize {
        match self {
            Values::U64(v) => v.len(),
            Values::F64(v) => v.len(),
            Values::Text(v) => v.len(),
        }
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One value in its shortest form: numbers as they read back, nothing for no value.
    pub fn shown(&self, row: usize) -> String {
        match self {
            Values::U64(v) => v.get(row).copied().flatten().map(|x| x.to_string()),
            Values::F64(v) => v.get(row).copied().flatten().map(|x| x.to_string()),
            Values::Text(v) => v.get(row).cloned().flatten(),
        }
        .unwrap_or_default()
    }

    /// One value as CSV writes it: numbers in the shortest form that reads back to the same number, nothing
    /// for no value, and `""` for an empty text.
    fn csv(&self, row: usize) -> String {
        match self {
            Values::U64(v) => v.get(row).copied().flatten().map(|x| x.to_string()),
            Values::F64(v) => v.get(row).copied().flatten().map(|x| x.to_string()),
            Values::Text(v) => v.get(row).and_then(Option::as_deref).map(quoted),
        }
        .unwrap_or_default()
    }
}

/// A text as a CSV field (RFC 4180).
fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A column and its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Unique in its table.
    pub name: String,
    /// One value per row.
    pub values: Values,
}

/// Columns of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    name: String,
    columns: Vec<Column>,
}

impl Table {
    /// A table; `name` becomes the file name, without an ending.
    ///
    /// # Errors
    /// [`ResultsError::Table`] for no columns, columns of unequal length, or a name that is empty or repeated.
    pub fn new(name: &str, columns: Vec<Column>) -> Result<Self, ResultsError> {
        let problem = |problem: String| ResultsError::Table { table: name.to_owned(), problem };
        let Some(first) = columns.first() else {
            return Err(problem("it has no columns".into()));
        };
        let mut names = BTreeSet::new();
        for column in &columns {
            if column.name.is_empty() {
                return Err(problem("a column has no name".into()));
            }
            if !names.insert(&column.name) {
                return Err(problem(format!("two columns are named {}", column.name)));
            }
            if column.values.len() != first.values.len() {
                let (rows, expected) = (column.values.len(), first.values.len());
                return Err(problem(format!("column {} has {rows} rows, not {expected}", column.name)));
            }
        }
        Ok(Table { name: name.to_owned(), columns })
    }

    /// The file name, without an ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns, left to right.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |c| c.values.len())
    }

    /// The table as CSV with a header line; lines end with a newline.
    pub fn to_csv(&self) -> String {
        let mut text = String::new();
        let mut line = |fields: Vec<String>| {
            text.push_str(&fields.join(","));
            text.push('\n');
        };
        line(self.columns.iter().map(|c| quoted(&c.name)).collect());
        for row in 0..self.rows() {
            line(self.columns.iter().map(|c| c.values.csv(row)).collect());
        }
        text
    }

    /// The table as a Parquet file: all columns optional; counts are unsigned 64-bit integers, texts UTF-8.
    ///
    /// # Errors
    /// [`ResultsError::Parquet`] when the writer refuses.
    pub fn to_parquet(&self) -> Result<Vec<u8>, ResultsError> {
        self.to_parquet_with(&[])
    }

    /// The same with notes, keys and texts, which readers find in the file's metadata.
    ///
    /// # Errors
    /// As [`Table::to_parquet`].
    pub fn to_parquet_with(&self, notes: &[(&str, &str)]) -> Result<Vec<u8>, ResultsError> {
        let fields: Result<Vec<TypePtr>, ParquetError> = self.columns.iter().map(parquet_field).collect();
        let schema = Type::group_type_builder("schema").with_fields(fields?).build()?;
        let notes = notes.iter().map(|&(key, text)| KeyValue::new(key.to_owned(), text.to_owned()));
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(notes.collect::<Vec<_>>()).filter(|notes| !notes.is_empty()))
            .set_created_by(concat!("sxlab ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
        let mut group = file.next_row_group()?;
        let mut columns = self.columns.iter();
        while let Some(mut writer) = group.next_column()? {
            match (writer.untyped(), columns.next().map(|c| &c.values)) {
                (ColumnWriter::Int64ColumnWriter(w), Some(Values::U64(v))) => {
                    let present: Vec<i64> = v.iter().flatten().map(|x| x.cast_signed()).collect();
                    w.write_batch(&present, Some(&levels(v)), None)?;
                }
                (ColumnWriter::DoubleColumnWriter(w), Some(Values::F64(v))) => {
                    let present: Vec<f64> = v.iter().flatten().copied().collect();
                    w.write_batch(&present, Some(&levels(v)), None)?;
                }
                (ColumnWriter::ByteArrayColumnWriter(w), Some(Values::Text(v))) => {
                    let present: Vec<ByteArray> = v.iter().flatten().map(|x| x.as_str().into()).collect();
                    w.write_batch(&present, Some(&levels(v)), None)?;
                }
                _ => {
                    let problem = "a column's type is not that of its schema";
                    return Err(ParquetError::General(problem.into()).into());
                }
            }
            writer.close()?;
        }
        group.close()?;
        Ok(file.into_inner()?)
    }
}

/// Parquet's definition levels: 1 for a value, 0 for none.
fn levels<T>(values: &[Option<T>]) -> Vec<i16> {
    values.iter().map(|v| i16::from(v.is_some())).collect()
}

fn parquet_field(column: &Column) -> Result<TypePtr, ParquetError> {
    let (physical, logical, converted) = match column.values {
        Values::U64(_) => {
            (PhysicalType::INT64, Some(LogicalType::integer(64, false)), ConvertedType::UINT_64)
        }
        Values::F64(_) => (PhysicalType::DOUBLE, None, ConvertedType::NONE),
        Values::Text(_) => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String), ConvertedType::UTF8),
    };
    let field = Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .with_converted_type(converted)
        .build()?;
    Ok(Arc::new(field))
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    fn column(name: &str, values: Values) -> Column {
        Column { name: name.into(), values }
    }

    fn table() -> Table {
        let columns = vec![
            column("n", Values::U64(vec![Some(0), None, Some(u64::MAX)])),
            column("x, y", Values::F64(vec![Some(0.1), Some(1e-300), None])),
            column("text", Values::Text(vec![Some("a \"b\", c".into()), Some(String::new()), None])),
        ];
        Table::new("sample", columns).unwrap()
    }

    #[test]
    fn csv_quotes_what_needs_it_and_tells_nothing_from_empty() {
        let lines: Vec<String> = table().to_csv().lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "n,\"x, y\",text");
        assert_eq!(lines[1], "0,0.1,\"a \"\"b\"\", c\"");
        assert!(lines[2].starts_with(",0.000") && lines[2].ends_with(",\"\""));
        assert_eq!(lines[3], "18446744073709551615,,");
    }

    #[test]
    fn parquet_reads_back() {
        let path = std::env::temp_dir().join(format!("sxlab-{}.parquet", std::process::id()));
        std::fs::write(&path, table().to_parquet().unwrap()).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].get_ulong(0).unwrap(), 0);
        assert!(rows[1].get_ulong(0).is_err());
        assert_eq!(rows[2].get_ulong(0).unwrap(), u64::MAX);
        assert_eq!(rows[1].get_double(1).unwrap(), 1e-300);
        assert_eq!(rows[0].get_string(2).unwrap(), "a \"b\", c");
        assert_eq!(rows[1].get_string(2).unwrap(), "");
        assert!(rows[2].get_string(2).is_err());
    }

    #[test]
    fn a_table_without_rows_is_still_a_file() {
        let empty = Table::new("empty", vec![column("n", Values::U64(vec![]))]).unwrap();
        assert_eq!(empty.to_csv(), "n\n");
        assert!(empty.to_parquet().unwrap().starts_with(b"PAR1"));
    }

    #[test]
    fn tables_that_do_not_fit() {
        let n = |name: &str, rows| column(name, Values::U64(vec![None; rows]));
        for columns in [vec![], vec![n("", 1)], vec![n("a", 1), n("a", 1)], vec![n("a", 1), n("b", 2)]] {
            assert!(matches!(Table::new("t", columns), Err(ResultsError::Table { .. })));
        }
    }
}
