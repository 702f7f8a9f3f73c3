//! What is decided once a schema and its columns: how each part of a record is read.

use std::sync::Arc;

use osqdemo_avro::{NodeId, Schema};

use super::super::super::registered::{connect_name, owners};
use super::super::super::{DecoderColumn, Demand};
use super::super::shape::{Shape, branch_name};
use super::{Column, Field, Printed, Reader, Root};
use crate::types::{SqlType, StructField};

/// What reads one value of a schema.
pub(super) struct Compiler<'a> {
    pub(super) schema: &'a Schema,
}

impl Compiler<'_> {
    pub(super) fn root(&self, columns: &[DecoderColumn]) -> Root {
        let root = self.schema.root();
        match Shape::of(self.schema, root) {
            Shape::Record(_) => Root::Fields(self.record(root, columns)),
            Shape::Nullable { null, inner } if matches!(Shape::of(self.schema, inner), Shape::Record(_)) => {
                Root::Nullable {
                    null: u32::try_from(null).unwrap_or_default(),
                    fields: self.record(inner, columns),
                }
            }
            other => Root::Unreadable(format!(
                "Cannot deserialize type {} as type struct for path: ",
                other.name()
            )),
        }
    }

    fn record(&self, id: NodeId, columns: &[DecoderColumn]) -> Vec<Column> {
        let Shape::Record(record) = Shape::of(self.schema, id) else {
            return Vec::new();
        };
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let places = owners(record.fields.iter().map(|field| field.name.as_str()), &names);
        let fields = record.fields.iter().zip(places);
        fields
            .map(|(field, column)| match column {
                None => Column::Whole(Field::Skip(field.schema)),
                Some(column) => match self.column(field.schema, &columns[column]) {
                    Column::Whole(Field::Read { place: None, reader }) if !reader.can_mismatch() => {
                        Column::Whole(Field::Skip(field.schema))
                    }
                    column => column,
                },
            })
            .collect()
    }

    pub(super) fn column(&self, id: NodeId, column: &DecoderColumn) -> Column {
        let path = format!("->{}", column.name);
        let mut reader = self.reader(id, &column.sql_type, &path);
        if let Some((place, Demand::Each(keys))) = &column.target {
            reader.want(keys);
            let (place, keys) = (*place, keys.clone());
            return Column::Each { place, keys, reader };
        }
        if let Some((_, Demand::Entries(keys))) = &column.target {
            reader.want(keys);
        }
        let place = column.target.as_ref().map(|(place, _)| *place);
        Column::Whole(Field::Read { place, reader })
    }

    fn reader(&self, id: NodeId, sql_type: &SqlType, path: &str) -> Reader {
        let shape = Shape::of(self.schema, id);
        let inner = |id| self.reader(id, sql_type, path);
        match (shape, sql_type) {
            (Shape::Null, _) => Reader::Null,
            (Shape::Nullable { null, inner: id }, _) => Reader::Union(if null == 0 {
                vec![Reader::Null, inner(id)]
            } else {
                vec![inner(id), Reader::Null]
            }),
            (Shape::Union(branches), SqlType::Struct(fields)) => {
                Reader::Union(self.branches(branches, fields, path))
            }
            (Shape::Boolean, SqlType::Boolean) => Reader::Boolean,
            (Shape::Int | Shape::Date | Shape::Time, SqlType::Integer) => Reader::Integer,
            (Shape::Int | Shape::Date | Shape::Time | Shape::Long | Shape::Timestamp, SqlType::Bigint) => {
                Reader::Bigint
            }
            (Shape::Float, SqlType::Double) => Reader::Float,
            (Shape::Double, SqlType::Double) => Reader::Double,
            (Shape::String, SqlType::String) => Reader::String,
            (Shape::Enum(enumeration), SqlType::String) => {
                let symbols = enumeration.symbols.iter();
                Reader::Symbol(symbols.map(|symbol| symbol.as_str().into()).collect())
            }
            (Shape::Boolean, SqlType::String) => Reader::Text(Printed::Boolean),
            (Shape::Int | Shape::Long, SqlType::String) => Reader::Text(Printed::Long),
            (Shape::Float, SqlType::String) => Reader::Text(Printed::Float),
            (Shape::Double, SqlType::String) => Reader::Text(Printed::Double),
            (Shape::Bytes(size), SqlType::Bytes) => Reader::Bytes(size),
            (
                Shape::Decimal {
                    fixed,
                    scale: written_scale,
                    ..
                },
                SqlType::Decimal { precision, scale },
            ) => Reader::Decimal {
                fixed,
                written_scale,
                precision: *precision,
                scale: *scale,
            },
            (Shape::Date, SqlType::Date) => Reader::Date,
            (Shape::Time, SqlType::Time) => Reader::Time,
            (Shape::Timestamp, SqlType::Timestamp) => Reader::Timestamp,
            (Shape::Array(items), SqlType::Array(element)) => {
                Reader::Array(Box::new(self.reader(items, element, path)))
            }
            (Shape::Map(values), SqlType::Map(_, value)) => Reader::Map {
                values: Box::new(self.reader(values, value, path)),
                node: values,
                wanted: None,
            },
            (
                Shape::Entries {
                    key,
                    value,
                    value_first,
                },
                SqlType::Map(key_type, value_type),
            ) => Reader::Entries {
                key: Box::new(self.reader(key, key_type, path)),
                value: Box::new(self.reader(value, value_type, path)),
                value_first,
                wanted: None,
            },
            (Shape::Record(record), SqlType::Struct(fields)) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                let places = owners(record.fields.iter().map(|field| field.name.as_str()), &names);
                let members = record.fields.iter().zip(places);
                let members = members.map(|(member, place)| match place {
                    None => Field::Skip(member.schema),
                    Some(place) => {
                        let path = format!("{path}->{}", fields[place].name);
                        Field::Read {
                            place: Some(place),
                            reader: self.reader(member.schema, &fields[place].sql_type, &path),
                        }
                    }
                });
                Reader::Struct {
                    width: fields.len(),
                    fields: members.collect(),
                }
            }
            (shape, sql_type) => Reader::Mismatch(format!(
                "Cannot deserialize type {} as type {} for path: {path}",
                shape.name(),
                connect_name(sql_type)
            )),
        }
    }

    fn branches(&self, branches: &[NodeId], fields: &[StructField], path: &str) -> Vec<Reader> {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let written = branches.iter().map(|branch| branch_name(self.schema, *branch));
        let places = owners(written, &names);
        let branches = branches.iter().zip(places);
        branches
            .map(|(branch, place)| match (Shape::of(self.schema, *branch), place) {
                (Shape::Null, _) => Reader::Null,
                (_, None) => Reader::Branch {
                    width: fields.len().max(1),
                    place: 0,
                    reader: Box::new(Reader::Skip(*branch)),
                },
                (_, Some(place)) => {
                    let path = format!("{path}->{}", fields[place].name);
                    Reader::Branch {
                        width: fields.len(),
                        place,
                        reader: Box::new(self.reader(*branch, &fields[place].sql_type, &path)),
                    }
                }
            })
            .collect()
    }
}

impl Reader {
    /// Whether there are values that it refuses although their bytes are right.
    fn can_mismatch(&self) -> bool {
        match self {
            Self::Mismatch(_) | Self::Decimal { .. } => true,
            Self::Array(inner) | Self::Map { values: inner, .. } | Self::Branch { reader: inner, .. } => {
                inner.can_mismatch()
            }
            Self::Entries { key, value, .. } => key.can_mismatch() || value.can_mismatch(),
            Self::Union(branches) => branches.iter().any(Self::can_mismatch),
            Self::Struct { fields, .. } => fields
                .iter()
                .any(|field| matches!(field, Field::Read { reader, .. } if reader.can_mismatch())),
            _ => false,
        }
    }

    /// Of a map, only these entries are wanted.
    fn want(&mut self, keys: &[Arc<str>]) {
        match self {
            Self::Map { wanted, .. } | Self::Entries { wanted, .. } => *wanted = Some(keys.to_vec()),
            Self::Union(branches) => branches.iter_mut().for_each(|branch| branch.want(keys)),
            _ => {}
        }
    }
}
