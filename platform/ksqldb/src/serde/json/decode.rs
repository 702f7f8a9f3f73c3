//! JSON to values, by ksqlDB's rules of coercion.
//!
//! A member belongs to the column of exactly its name, else to the column of its upper-cased name; of several
//! such members the last one counts, and an exact one before all others. What is missing is `NULL`.
//! A value that cannot be coerced fails the whole record, even where no query looks at it.

use std::cell::RefCell;
use std::sync::Arc;

use bigdecimal::BigDecimal;

use super::super::number::{
    double_of_text, fit_exactly, parse_decimal, precision, time_of_day, truncate_to_long,
};
use super::super::{Demand, SerdeError};
use super::reader::{Kind, Reader};
use super::text::read_as_text;
use crate::types::{SqlType, StructField};
use crate::value::{Row, Value};

/// A named column or field.
pub(in super::super) trait Field {
    fn name(&self) -> &str;
    fn sql_type(&self) -> &SqlType;
    /// How much is wanted; `None`: nothing, but it must be right.
    fn demand(&self) -> Option<&Demand>;
}

impl Field for StructField {
    fn name(&self) -> &str {
        &self.name
    }

    fn sql_type(&self) -> &SqlType {
        &self.sql_type
    }

    fn demand(&self) -> Option<&Demand> {
        Some(&Demand::Whole)
    }
}

/// Whether there was an object at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Members {
    /// An object.
    Read,
    /// `null`
    Null,
}

/// How maps may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Maps {
    /// As objects.
    Objects,
    /// Also as arrays of objects with a `key` and a `value`, as Kafka Connect writes them.
    ObjectsOrEntries,
}

/// What is known of the fields' names before anything is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum FieldNames {
    /// All are ASCII without lower-case letters, as ksqlDB has them where they are not quoted: whatever its case, a
    /// member belongs to one of them at most.
    Upper,
    /// Any.
    Any,
}

impl FieldNames {
    pub(in super::super) fn of<F: Field>(fields: &[F]) -> Self {
        let is_upper = |field: &F| {
            let mut bytes = field.name().bytes();
            bytes.all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase())
        };
        if fields.iter().all(is_upper) {
            Self::Upper
        } else {
            Self::Any
        }
    }
}

/// Reads an object's members into the places that `store` knows, by the field's index and, where each entry of a map
/// has a place, by its number.
pub(in super::super) fn decode_members<F: Field>(
    bytes: &[u8],
    maps: Maps,
    names: FieldNames,
    fields: &[F],
    store: impl FnMut(usize, usize, Value),
) -> Result<Members, SerdeError> {
    let mut reader = Reader::new(as_text(bytes)?).with_entries(maps == Maps::ObjectsOrEntries);
    if reader.kind()? == Kind::Null {
        reader.word("null")?;
        return Ok(Members::Null);
    }
    read_members(&mut reader, names, fields, store)?;
    Ok(Members::Read)
}

/// Reads a value that stands by itself, of the field 0. One that nobody wants is there all the same.
pub(in super::super) fn decode_bare<F: Field>(
    bytes: &[u8],
    maps: Maps,
    field: &F,
    mut store: impl FnMut(usize, usize, Value),
) -> Result<Members, SerdeError> {
    let mut reader = Reader::new(as_text(bytes)?).with_entries(maps == Maps::ObjectsOrEntries);
    if reader.kind()? == Kind::Null {
        reader.word("null")?;
        return Ok(Members::Null);
    }
    read_demanded(&mut reader, field, |number, value| store(0, number, value))?;
    Ok(Members::Read)
}

fn as_text(bytes: &[u8]) -> Result<&str, SerdeError> {
    std::str::from_utf8(bytes).map_err(|error| SerdeError::new(format!("invalid UTF-8: {error}")))
}

fn read_members<F: Field>(
    reader: &mut Reader<'_>,
    names: FieldNames,
    fields: &[F],
    mut store: impl FnMut(usize, usize, Value),
) -> Result<(), SerdeError> {
    if reader.kind()? != Kind::Object {
        return Err(cannot_convert(reader.kind()?, "STRUCT"));
    }
    // Filled only when a member matches exactly, which lower-case members never do.
    let mut exact = Vec::new();
    // Members mostly come in the order of the columns.
    let mut likely = 0;
    reader.object(|reader, name| {
        let found = match names {
            FieldNames::Upper => find_upper(fields, likely, name),
            FieldNames::Any => find(fields, name),
        };
        let Some((index, is_exact)) = found else {
            return reader.skip();
        };
        likely = index + 1;
        if is_exact {
            exact.resize(fields.len(), false);
            exact[index] = true;
        } else if exact.get(index) == Some(&true) {
            return reader.skip();
        }
        read_demanded(reader, &fields[index], |number, value| {
            store(index, number, value)
        })
        .map_err(|error| error.inside(fields[index].name()))
    })
}

/// The field a member belongs to, and whether its name matches exactly.
fn find<F: Field>(fields: &[F], name: &str) -> Option<(usize, bool)> {
    let mut folded = None;
    if name.is_ascii() {
        for (index, field) in fields.iter().enumerate() {
            let column = field.name().as_bytes();
            if column.len() != name.len() {
                continue;
            }
            if column == name.as_bytes() {
                return Some((index, true));
            }
            let upper = name.bytes().map(|byte| byte.to_ascii_uppercase());
            if folded.is_none() && upper.eq(column.iter().copied()) {
                folded = Some((index, false));
            }
        }
        return folded;
    }
    let upper = name.to_uppercase();
    for (index, field) in fields.iter().enumerate() {
        if field.name() == name {
            return Some((index, true));
        }
        if folded.is_none() && field.name() == upper {
            folded = Some((index, false));
        }
    }
    folded
}

/// The same of names that are [`FieldNames::Upper`]. The search begins at the likely one.
fn find_upper<F: Field>(fields: &[F], likely: usize, name: &str) -> Option<(usize, bool)> {
    let (before, after) = fields.split_at(likely.min(fields.len()));
    let after = after
        .iter()
        .enumerate()
        .map(|(index, field)| (before.len() + index, field));
    for (index, field) in after.chain(before.iter().enumerate()) {
        let (column, name) = (field.name().as_bytes(), name.as_bytes());
        if column.len() == name.len() && is_upper_of(column, name) {
            return Some((index, column == name));
        }
    }
    // The upper case of some other letters is ASCII.
    if name.is_ascii() { None } else { find(fields, name) }
}

/// Whether that is a name's upper case, where both are of the same length. Bytes that are not ASCII have none.
fn is_upper_of(column: &[u8], name: &[u8]) -> bool {
    let is_same =
        |column: &[u8; 8], name: &[u8; 8]| u64::from_le_bytes(*column) == upper(u64::from_le_bytes(*name));
    // The last eight may overlap the ones before.
    if let (Some(last), Some(last_of_name)) = (column.last_chunk(), name.last_chunk()) {
        let mut eights = column.as_chunks().0.iter().zip(name.as_chunks().0);
        return is_same(last, last_of_name) && eights.all(|(column, name)| is_same(column, name));
    }
    column
        .iter()
        .zip(name)
        .all(|(column, name)| *column == name.to_ascii_uppercase())
}

/// Eight bytes in upper case.
fn upper(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let low = eight & !HIGHS;
    // The highest bit of each byte that is above `z`, and from `a` on.
    let above = low + ONES * u64::from(0x7f - b'z');
    let from = low + ONES * u64::from(0x80 - b'a');
    let is_lower = (from & !above) & !eight & HIGHS;
    // Bit 5 tells the cases apart.
    eight ^ (is_lower >> 2)
}

/// Reads what is wanted of a value. `store` takes it with its number: 0, unless each entry of a map has a place.
fn read_demanded<F: Field>(
    reader: &mut Reader<'_>,
    field: &F,
    mut store: impl FnMut(usize, Value),
) -> Result<(), SerdeError> {
    match (field.demand(), field.sql_type()) {
        (Some(Demand::Each(keys)), SqlType::Map(_, value_type)) => {
            return read_each(reader, value_type, keys, store);
        }
        (Some(Demand::Entries(keys)), SqlType::Map(_, value_type)) => {
            store(0, read_map(reader, value_type, Some(keys))?);
        }
        (Some(_), sql_type) => store(0, read_value(reader, sql_type)?),
        (None, sql_type) => check_value(reader, sql_type)?,
    }
    Ok(())
}

/// Makes sure a value can be coerced, at the least cost.
fn check_value(reader: &mut Reader<'_>, sql_type: &SqlType) -> Result<(), SerdeError> {
    match sql_type {
        SqlType::String => reader.skip(),
        SqlType::Map(_, value_type) => read_map(reader, value_type, Some(&[])).map(|_| ()),
        other => read_value(reader, other).map(|_| ()),
    }
}

fn read_value(reader: &mut Reader<'_>, sql_type: &SqlType) -> Result<Value, SerdeError> {
    let kind = reader.kind()?;
    if kind == Kind::Null {
        reader.word("null")?;
        return Ok(Value::Null);
    }
    match sql_type {
        SqlType::String => read_string(reader, kind).map(Value::String),
        SqlType::Boolean => match kind {
            Kind::True => reader.word("true").map(|()| Value::Boolean(true)),
            Kind::False => reader.word("false").map(|()| Value::Boolean(false)),
            _ => Err(cannot_convert(kind, "BOOLEAN")),
        },
        SqlType::Integer => read_integer(reader, kind, "INTEGER").map(Value::Integer),
        SqlType::Date => read_integer(reader, kind, "DATE").map(Value::Date),
        SqlType::Time => read_long(reader, kind, "TIME")
            .and_then(time_of_day)
            .map(Value::Time),
        SqlType::Bigint => read_long(reader, kind, "BIGINT").map(Value::Bigint),
        SqlType::Timestamp => read_long(reader, kind, "TIMESTAMP").map(Value::Timestamp),
        SqlType::Double => read_double(reader, kind).map(Value::Double),
        SqlType::Decimal { precision, scale } => {
            read_decimal(reader, kind, *precision, *scale).map(Value::Decimal)
        }
        SqlType::Bytes => read_bytes(reader, kind),
        SqlType::Array(element) => {
            if kind != Kind::Array {
                return Err(cannot_convert(kind, "ARRAY"));
            }
            let mut elements = Vec::new();
            reader.array(|reader| {
                elements.push(read_value(reader, element)?);
                Ok(())
            })?;
            Ok(Value::Array(elements.into()))
        }
        SqlType::Map(_, value_type) => read_map(reader, value_type, None),
        SqlType::Struct(fields) => {
            let mut values: Row = vec![Value::Null; fields.len()];
            read_members(reader, FieldNames::Any, fields, |index, _, value| {
                values[index] = value
            })?;
            Ok(Value::Struct(values.into()))
        }
    }
}

fn read_string(reader: &mut Reader<'_>, kind: Kind) -> Result<Arc<str>, SerdeError> {
    if kind == Kind::String {
        return Ok(Arc::from(reader.string()?.as_ref()));
    }
    let mut text = String::new();
    read_as_text(reader, &mut text)?;
    Ok(text.into())
}

/// Reads a map; of entries that are not wanted only the form of the value is checked.
fn read_map(
    reader: &mut Reader<'_>,
    value_type: &SqlType,
    wanted: Option<&[Arc<str>]>,
) -> Result<Value, SerdeError> {
    match reader.kind()? {
        Kind::Object => {}
        Kind::Null => {
            reader.word("null")?;
            return Ok(Value::Null);
        }
        Kind::Array if reader.takes_entries() => return read_entries(reader, value_type, wanted),
        kind => return Err(cannot_convert(kind, "MAP")),
    }
    let mut entries: Vec<(Arc<str>, Value)> = Vec::with_capacity(wanted.map_or(16, <[Arc<str>]>::len));
    reader.object(|reader, key| {
        let key: Arc<str> = match wanted {
            None => Arc::from(key),
            Some(keys) => match keys.iter().find(|wanted| ***wanted == *key) {
                Some(wanted) => Arc::clone(wanted),
                None => return check_value(reader, value_type),
            },
        };
        entries.push((key, read_value(reader, value_type)?));
        Ok(())
    })?;
    Ok(Value::map(entries))
}

/// Reads the values of some of a map's keys, each into its own place; of the others only the form is checked.
fn read_each(
    reader: &mut Reader<'_>,
    value_type: &SqlType,
    keys: &[Arc<str>],
    mut store: impl FnMut(usize, Value),
) -> Result<(), SerdeError> {
    // What an earlier member of the same name said no longer counts.
    (0..keys.len()).for_each(|number| store(number, Value::Null));
    if reader.kind()? != Kind::Object {
        if let Value::Map(entries) = read_map(reader, value_type, Some(keys))? {
            for (key, value) in entries.iter() {
                if let Some(number) = keys.iter().position(|wanted| wanted == key) {
                    store(number, value.clone());
                }
            }
        }
        return Ok(());
    }
    let marks = keys.iter().fold(0, |marks, key| marks | mark(key.as_bytes()));
    let place = |key: &[u8]| match marks & mark(key) {
        0 => None,
        _ => keys.iter().position(|wanted| wanted.as_bytes() == key),
    };
    // Both ways give to one place.
    let store = RefCell::new(store);
    let member = |reader: &mut Reader<'_>, key: &str| match place(key.as_bytes()) {
        Some(number) => {
            store.borrow_mut()(number, read_value(reader, value_type)?);
            Ok(())
        }
        None => check_value(reader, value_type),
    };
    if *value_type != SqlType::String {
        return reader.object(member);
    }
    let text = |key: &[u8], text: &[u8]| {
        if let Some(number) = place(key) {
            // It is a part of a text.
            let text = String::from_utf8_lossy(text);
            store.borrow_mut()(number, Value::string(text));
        }
    };
    reader.object_of_texts(text, member)
}

/// A bit that texts have in common if they are equal, and seldom otherwise.
fn mark(bytes: &[u8]) -> u64 {
    let end = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(*byte));
    1 << ((bytes.len() + 3 * end(bytes.first()) + 7 * end(bytes.last())) % 64)
}

/// Reads a map that is a list of its entries. One without a key is none.
fn read_entries(
    reader: &mut Reader<'_>,
    value_type: &SqlType,
    wanted: Option<&[Arc<str>]>,
) -> Result<Value, SerdeError> {
    let part = |name: &str, sql_type: SqlType| StructField {
        name: name.to_owned(),
        sql_type,
    };
    let parts = [part("key", SqlType::String), part("value", value_type.clone())];
    let mut entries = Vec::new();
    reader.array(|reader| {
        let mut entry = [Value::Null, Value::Null];
        read_members(reader, FieldNames::Any, &parts, |index, _, value| {
            entry[index] = value
        })?;
        let [key, value] = entry;
        if let Value::String(key) = key
            && wanted.is_none_or(|wanted| wanted.contains(&key))
        {
            entries.push((key, value));
        }
        Ok(())
    })?;
    Ok(Value::map(entries))
}

fn read_integer(reader: &mut Reader<'_>, kind: Kind, required: &'static str) -> Result<i32, SerdeError> {
    match kind {
        Kind::Number => read_number_as_long(reader).map(|number| number as i32),
        Kind::String => {
            let text = reader.string()?;
            text.parse().map_err(|_| not_a_number(&text, required))
        }
        _ => Err(cannot_convert(kind, required)),
    }
}

fn read_long(reader: &mut Reader<'_>, kind: Kind, required: &'static str) -> Result<i64, SerdeError> {
    match kind {
        Kind::Number => read_number_as_long(reader),
        Kind::String => {
            let text = reader.string()?;
            text.parse().map_err(|_| not_a_number(&text, required))
        }
        _ => Err(cannot_convert(kind, required)),
    }
}

fn read_number_as_long(reader: &mut Reader<'_>) -> Result<i64, SerdeError> {
    let number = reader.number()?;
    if let Ok(integer) = number.parse() {
        return Ok(integer);
    }
    parse_decimal(number)
        .map(|decimal| truncate_to_long(&decimal))
        .ok_or_else(|| not_a_number(number, "BIGINT"))
}

fn read_double(reader: &mut Reader<'_>, kind: Kind) -> Result<f64, SerdeError> {
    match kind {
        Kind::Number => {
            let number = reader.number()?;
            let number = number.parse().map_err(|_| not_a_number(number, "DOUBLE"))?;
            // ksqlDB reads a number as a decimal first, and decimals have no -0.
            Ok(if number == 0.0 { 0.0 } else { number })
        }
        Kind::String => {
            let text = reader.string()?;
            double_of_text(&text).ok_or_else(|| not_a_number(&text, "DOUBLE"))
        }
        _ => Err(cannot_convert(kind, "DOUBLE")),
    }
}

fn read_decimal(
    reader: &mut Reader<'_>,
    kind: Kind,
    target_precision: u32,
    target_scale: u32,
) -> Result<BigDecimal, SerdeError> {
    let number = match kind {
        Kind::Number => {
            let number = reader.number()?;
            parse_decimal(number).ok_or_else(|| not_a_number(number, "DECIMAL"))?
        }
        Kind::String => {
            let text = reader.string()?;
            parse_decimal(&text).ok_or_else(|| not_a_number(&text, "DECIMAL"))?
        }
        _ => return Err(cannot_convert(kind, "DECIMAL")),
    };
    fit_exactly(&number, target_precision, target_scale).ok_or_else(|| {
        SerdeError::new(format!(
            "Cannot fit decimal '{}' into DECIMAL({target_precision}, {target_scale}) without rounding. (Requires {},{})",
            number.to_plain_string(),
            precision(&number),
            number.fractional_digit_count().max(0)
        ))
    })
}

fn read_bytes(reader: &mut Reader<'_>, kind: Kind) -> Result<Value, SerdeError> {
    if kind != Kind::String {
        return Err(cannot_convert(kind, "BYTES"));
    }
    let text = reader.string()?;
    super::super::base64::decode(&text)
        .map(|bytes| Value::Bytes(bytes.into()))
        .ok_or_else(|| SerdeError::new("invalid base64"))
}

fn cannot_convert(kind: Kind, required: &str) -> SerdeError {
    SerdeError::new(format!(
        "Can't convert type. sourceType: {}, requiredType: {required}",
        kind.name()
    ))
}

fn not_a_number(text: &str, required: &str) -> SerdeError {
    SerdeError::new(format!(
        "Can't convert type. sourceType: TextNode, requiredType: {required}: `{text}` is no such number"
    ))
}
