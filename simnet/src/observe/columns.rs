//! Observations as columns of a Parquet file: a chunk is a row group.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use parquet::basic::{ConvertedType, Encoding, LogicalType, Repetition, Type as PhysicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type, TypePtr};
use sxlab_protocol::observe::{Kind, Layer, Seen, SessionNo, Sight};
use sxlab_protocol::wire::{CorrId, EntityId};

use super::chunk::{Chunk, Event, Row};
use super::{LinkSight, Observation, Sighting, Vantage, VantageId};

/// Rows that are put together at once: some megabytes.
const BATCH: usize = 1 << 14;

/// Correlation ids of a chunk stay in its dictionary: each occurs about four times.
const DICTIONARY_BYTES: usize = 128 << 20;

/// A column, by its place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
enum Column {
    TimeNs,
    VantageNo,
    Vantage,
    Event,
    Session,
    Peer,
    Kind,
    Layer,
    Entity,
    Sender,
    Corr,
    Size,
    PassedSession,
    PassedCorr,
    Source,
    Destination,
    Bytes,
}

impl Column {
    /// All, in the order of the file.
    const ALL: [(Self, &'static str, PhysicalType); 17] = [
        (Self::TimeNs, "time_ns", PhysicalType::INT64),
        (Self::VantageNo, "vantage_no", PhysicalType::INT64),
        (Self::Vantage, "vantage", PhysicalType::BYTE_ARRAY),
        (Self::Event, "event", PhysicalType::BYTE_ARRAY),
        (Self::Session, "session", PhysicalType::INT64),
        (Self::Peer, "peer", PhysicalType::BYTE_ARRAY),
        (Self::Kind, "kind", PhysicalType::BYTE_ARRAY),
        (Self::Layer, "layer", PhysicalType::BYTE_ARRAY),
        (Self::Entity, "entity", PhysicalType::BYTE_ARRAY),
        (Self::Sender, "sender", PhysicalType::BYTE_ARRAY),
        (Self::Corr, "corr", PhysicalType::BYTE_ARRAY),
        (Self::Size, "size", PhysicalType::INT64),
        (Self::PassedSession, "passed_session", PhysicalType::INT64),
        (Self::PassedCorr, "passed_corr", PhysicalType::BYTE_ARRAY),
        (Self::Source, "source", PhysicalType::BYTE_ARRAY),
        (Self::Destination, "destination", PhysicalType::BYTE_ARRAY),
        (Self::Bytes, "bytes", PhysicalType::INT64),
    ];
}

/// Begins a file of observations.
pub(super) fn create(file: File) -> Result<SerializedFileWriter<File>, ParquetError> {
    let fields: Result<Vec<TypePtr>, ParquetError> = Column::ALL
        .into_iter()
        .map(|(_, name, physical)| {
            let (logical, converted) = match physical {
                PhysicalType::INT64 => (LogicalType::integer(64, false), ConvertedType::UINT_64),
                _ => (LogicalType::String, ConvertedType::UTF8),
            };
            let field = Type::primitive_type_builder(name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(logical))
                .with_converted_type(converted)
                .build()?;
            Ok(Arc::new(field))
        })
        .collect();
    let schema = Type::group_type_builder("observations").with_fields(fields?).build()?;
    // Times hardly repeat, but follow each other closely.
    let time = ColumnPath::from("time_ns");
    let properties = WriterProperties::builder()
        .set_created_by(concat!("sxlab ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_column_dictionary_enabled(time.clone(), false)
        .set_column_encoding(time, Encoding::DELTA_BINARY_PACKED)
        .build();
    SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))
}

/// What stands in one column of one row.
enum Cell {
    Nothing,
    Number(u64),
    Text(ByteArray),
}

/// The texts of a chunk, each made once.
struct Texts<'a> {
    chunk: &'a Chunk,
    vantages: Vec<ByteArray>,
    events: Vec<ByteArray>,
    kinds: Vec<ByteArray>,
    layers: [ByteArray; 2],
    /// Names of the chunk in hexadecimal, by their numbers.
    hex: Vec<Option<ByteArray>>,
}

impl<'a> Texts<'a> {
    fn new(chunk: &'a Chunk, vantages: &[Vantage]) -> Self {
        Self {
            chunk,
            vantages: vantages.iter().map(|vantage| vantage.name.as_str().into()).collect(),
            events: Event::ALL.iter().map(|event| event.name().into()).collect(),
            kinds: Kind::ALL.iter().map(|kind| kind.name().to_uppercase().into_bytes().into()).collect(),
            layers: [LAYERS[0].into(), LAYERS[1].into()],
            hex: vec![None; chunk.ids()],
        }
    }

    fn hex(&mut self, number: u32) -> Cell {
        let made = self
            .hex
            .get_mut(number as usize)
            .map(|place| place.get_or_insert_with(|| hex(self.chunk.id(number)).into()).clone());
        made.map_or(Cell::Nothing, Cell::Text)
    }

    fn text(&self, number: u32) -> Cell {
        Cell::Text(self.chunk.id(number).to_vec().into())
    }

    fn cell(&mut self, row: &Row, column: Column) -> Cell {
        let one_of =
            |texts: &[ByteArray], at: usize| texts.get(at).cloned().map_or(Cell::Nothing, Cell::Text);
        let event = row.event();
        let seen = matches!(event, Event::Received | Event::Sent);
        match column {
            Column::TimeNs => Cell::Number(row.at_ns),
            Column::VantageNo => Cell::Number(row.vantage().0.into()),
            Column::Vantage => one_of(&self.vantages, row.vantage().0 as usize),
            Column::Event => one_of(&self.events, event as usize),
            Column::Session if event != Event::Passed => Cell::Number(row.session),
            Column::Peer if matches!(event, Event::Accepted | Event::Dialed) => self.text(row.name),
            Column::Kind if seen => one_of(&self.kinds, row.kind() as usize),
            Column::Layer if seen => one_of(&self.layers, usize::from(row.layer() == Layer::Forwarded)),
            Column::Entity if seen || event == Event::Created => self.hex(row.name),
            Column::Sender if event == Event::Created => self.hex(row.second),
            Column::Corr if seen => self.hex(row.second),
            Column::Size if seen => Cell::Number(row.size.into()),
            Column::PassedSession => row.passed.map_or(Cell::Nothing, |to| Cell::Number(to.session)),
            Column::PassedCorr => row.passed.map_or(Cell::Nothing, |to| self.hex(to.corr)),
            Column::Source if event == Event::Passed => self.text(row.name),
            Column::Destination if event == Event::Passed => self.text(row.second),
            Column::Bytes if event == Event::Passed => Cell::Number(row.size.into()),
            _ => Cell::Nothing,
        }
    }
}

const LAYERS: [&str; 2] = ["session", "forwarded"];

/// Appends a chunk as a row group.
pub(super) fn write(
    file: &mut SerializedFileWriter<File>,
    chunk: &Chunk,
    vantages: &[Vantage],
) -> Result<(), ParquetError> {
    let mut texts = Texts::new(chunk, vantages);
    let (mut levels, mut numbers, mut strings) = (Vec::<i16>::new(), Vec::<i64>::new(), Vec::new());
    let mut group = file.next_row_group()?;
    let mut columns = Column::ALL.into_iter();
    while let (Some(mut writer), Some((column, ..))) = (group.next_column()?, columns.next()) {
        let mut rows = chunk.rows().peekable();
        while rows.peek().is_some() {
            levels.clear();
            numbers.clear();
            strings.clear();
            for row in rows.by_ref().take(BATCH) {
                let cell = texts.cell(&row, column);
                levels.push(i16::from(!matches!(cell, Cell::Nothing)));
                match cell {
                    Cell::Nothing => {}
                    Cell::Number(number) => numbers.push(number.cast_signed()),
                    Cell::Text(text) => strings.push(text),
                }
            }
            match writer.untyped() {
                ColumnWriter::Int64ColumnWriter(w) => w.write_batch(&numbers, Some(&levels), None)?,
                ColumnWriter::ByteArrayColumnWriter(w) => w.write_batch(&strings, Some(&levels), None)?,
                _ => return Err(ParquetError::General("a column of a type that it can't have".into())),
            };
        }
        writer.close()?;
    }
    group.close()?;
    Ok(())
}

/// One column of a row group, read batch by batch.
enum Values {
    Numbers(ColumnReaderImpl<Int64Type>, Cells<i64>),
    Texts(ColumnReaderImpl<ByteArrayType>, Cells<ByteArray>),
}

/// Some rows of a column.
struct Cells<T> {
    levels: std::vec::IntoIter<i16>,
    values: std::vec::IntoIter<T>,
}

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self { levels: Vec::new().into_iter(), values: Vec::new().into_iter() }
    }
}

impl<T> Iterator for Cells<T> {
    type Item = Option<T>;

    fn next(&mut self) -> Option<Option<T>> {
        Some(if self.levels.next()? == 1 { self.values.next() } else { None })
    }
}

fn fill<T: parquet::data_type::DataType>(
    reader: &mut ColumnReaderImpl<T>,
) -> Result<Cells<T::T>, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    reader.read_records(BATCH, Some(&mut levels), None, &mut values)?;
    Ok(Cells { levels: levels.into_iter(), values: values.into_iter() })
}

impl Values {
    fn fill(&mut self) -> Result<(), ParquetError> {
        match self {
            Self::Numbers(reader, cells) => *cells = fill(reader)?,
            Self::Texts(reader, cells) => *cells = fill(reader)?,
        }
        Ok(())
    }
}

/// One row, as it is read.
#[derive(Default)]
struct Fields {
    numbers: [u64; Column::ALL.len()],
    texts: [Option<ByteArray>; Column::ALL.len()],
}

impl Fields {
    fn number(&self, column: Column) -> u64 {
        self.numbers.get(column as usize).copied().unwrap_or_default()
    }

    fn bytes(&self, column: Column) -> &[u8] {
        self.texts.get(column as usize).and_then(Option::as_ref).map_or(&[], ByteArray::data)
    }

    fn text(&self, column: Column) -> String {
        String::from_utf8_lossy(self.bytes(column)).into_owned()
    }

    fn entity(&self, column: Column) -> Option<EntityId> {
        let mut buffer = [0; 255];
        EntityId::new(unhex(self.bytes(column), &mut buffer)?).ok()
    }

    fn corr(&self, column: Column) -> Option<CorrId> {
        let mut buffer = [0; 255];
        CorrId::new(unhex(self.bytes(column), &mut buffer)?).ok()
    }

    fn observation(&self, names: &Names) -> Option<Observation> {
        let session = SessionNo(self.number(Column::Session));
        let seen = || {
            let passed_to = match self.texts.get(Column::PassedCorr as usize)? {
                None => None,
                Some(_) => {
                    Some((SessionNo(self.number(Column::PassedSession)), self.corr(Column::PassedCorr)?))
                }
            };
            Some(Seen {
                session,
                kind: *names.kinds.get(self.bytes(Column::Kind))?,
                layer: match self.bytes(Column::Layer) == LAYERS[1].as_bytes() {
                    true => Layer::Forwarded,
                    false => Layer::Session,
                },
                entity: self.entity(Column::Entity)?,
                corr: self.corr(Column::Corr)?,
                size: u32::try_from(self.number(Column::Size)).ok()?,
                passed_to,
            })
        };
        let sight: Sighting = match names.events.get(self.bytes(Column::Event))? {
            Event::Accepted => Sight::Accepted { session, from: self.text(Column::Peer) }.into(),
            Event::Dialed => Sight::Dialed { session, to: self.text(Column::Peer) }.into(),
            Event::Closed => Sight::Closed { session }.into(),
            Event::Created => {
                let (recipient, sender) = (self.entity(Column::Entity)?, self.entity(Column::Sender)?);
                Sight::Created { session, recipient, sender }.into()
            }
            Event::Received => Sight::Received(seen()?).into(),
            Event::Sent => Sight::Sent(seen()?).into(),
            Event::Passed => LinkSight {
                from: self.text(Column::Source),
                to: self.text(Column::Destination),
                bytes: u32::try_from(self.number(Column::Bytes)).ok()?,
            }
            .into(),
        };
        let vantage = VantageId(u32::try_from(self.number(Column::VantageNo)).ok()?);
        Some(Observation { at_ns: self.number(Column::TimeNs), vantage, sight })
    }
}

/// What texts mean.
struct Names {
    kinds: BTreeMap<Vec<u8>, Kind>,
    events: BTreeMap<Vec<u8>, Event>,
}

/// Reads a row group into a chunk: the rows of these vantage points, or of all. The vantage points are sorted.
pub(super) fn read(
    file: &SerializedFileReader<File>,
    number: usize,
    held: Option<&[VantageId]>,
) -> Result<Chunk, ParquetError> {
    let names = Names {
        kinds: Kind::ALL.iter().map(|kind| (kind.name().to_uppercase().into_bytes(), *kind)).collect(),
        events: Event::ALL.iter().map(|event| (event.name().as_bytes().to_vec(), *event)).collect(),
    };
    let broken = || ParquetError::General("what was written can't be read".into());
    let group = file.get_row_group(number)?;
    let mut left = usize::try_from(group.metadata().num_rows())?;
    let mut columns = Vec::new();
    for place in 0..Column::ALL.len() {
        columns.push(match group.get_column_reader(place)? {
            ColumnReader::Int64ColumnReader(reader) => Values::Numbers(reader, Cells::default()),
            ColumnReader::ByteArrayColumnReader(reader) => Values::Texts(reader, Cells::default()),
            _ => return Err(broken()),
        });
    }
    let mut chunk = Chunk::default();
    let mut fields = Fields::default();
    while left > 0 {
        columns.iter_mut().try_for_each(Values::fill)?;
        let rows = left.min(BATCH);
        for _ in 0..rows {
            let places = fields.numbers.iter_mut().zip(&mut fields.texts);
            for (column, (number, text)) in columns.iter_mut().zip(places) {
                match column {
                    Values::Numbers(_, cells) => {
                        *number = cells.next().ok_or_else(broken)?.unwrap_or_default().cast_unsigned();
                    }
                    Values::Texts(_, cells) => *text = cells.next().ok_or_else(broken)?,
                }
            }
            let vantage = u32::try_from(fields.number(Column::VantageNo)).map(VantageId)?;
            if held.is_none_or(|held| held.binary_search(&vantage).is_ok()) {
                let observation = fields.observation(&names).ok_or_else(broken)?;
                chunk.push(&observation).map_err(|_| broken())?;
            }
        }
        left -= rows;
    }
    chunk.seal();
    Ok(chunk)
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of hexadecimal digits, in the buffer; nothing for what is none or too long.
fn unhex<'b>(digits: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let half = |digit: u8| (digit as char).to_digit(16).and_then(|half| u8::try_from(half).ok());
    let out = buffer.get_mut(..digits.len() / 2)?;
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        let [high, low] = pair else { return None };
        *byte = half(*high)? << 4 | half(*low)?;
    }
    Some(out)
}
