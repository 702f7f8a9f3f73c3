//! From an Avro schema to columns.

use osqdemo_avro::{NodeId, Schema};

use super::super::registered::{InferredType, Names, TypeCount};
use super::shape::{Shape, branch_name};
use crate::types::{SqlType, StructField};

/// The columns of a schema, or why it has none.
pub(in super::super) fn infer(schema: &Schema, names: Names) -> Result<InferredType, String> {
    let root = match Shape::of(schema, schema.root()) {
        Shape::Nullable { inner, .. } => inner,
        _ => schema.root(),
    };
    let shape = Shape::of(schema, root);
    let mut inference = Inference {
        schema,
        names,
        open: Vec::new(),
        types: TypeCount::default(),
    };
    match (shape, inference.sql_type(root)?) {
        (Shape::Record(_) | Shape::Union(_), Some(SqlType::Struct(fields))) => {
            Ok(InferredType::Columns(fields))
        }
        (Shape::Record(_) | Shape::Union(_), _) => {
            Err("Schema does not include any columns with types that ksqlDB supports.".to_owned())
        }
        (_, Some(sql_type)) => Ok(InferredType::Anonymous(sql_type)),
        (_, None) => Err(format!("Unsupported type: {}", shape.name().to_uppercase())),
    }
}

struct Inference<'a> {
    schema: &'a Schema,
    names: Names,
    /// The records and unions that are being looked into: one that contains itself has no type in SQL.
    open: Vec<NodeId>,
    types: TypeCount,
}

impl Inference<'_> {
    /// The type; `None` where SQL has none.
    fn sql_type(&mut self, id: NodeId) -> Result<Option<SqlType>, String> {
        self.types.add_type(self.open.len())?;
        if self.open.contains(&id) {
            return Ok(None);
        }
        self.open.push(id);
        let sql_type = self.inner_type(id);
        self.open.pop();
        sql_type
    }

    fn inner_type(&mut self, id: NodeId) -> Result<Option<SqlType>, String> {
        let schema = self.schema;
        let text = || Box::new(SqlType::String);
        Ok(Some(match Shape::of(schema, id) {
            Shape::Null => {
                return Err("Standalone null schemas are not supported by this converter".to_owned());
            }
            Shape::Boolean => SqlType::Boolean,
            Shape::Int => SqlType::Integer,
            Shape::Long => SqlType::Bigint,
            Shape::Float if self.names == Names::AsWritten => {
                return Err("Unexpected schema type: Schema{FLOAT32}".to_owned());
            }
            Shape::Float | Shape::Double => SqlType::Double,
            Shape::String | Shape::Enum(_) => SqlType::String,
            Shape::Bytes(_) => SqlType::Bytes,
            Shape::Decimal { precision, scale, .. } => SqlType::Decimal { precision, scale },
            Shape::Date => SqlType::Date,
            Shape::Time => SqlType::Time,
            Shape::Timestamp => SqlType::Timestamp,
            Shape::Array(items) => match self.sql_type(items)? {
                Some(items) => SqlType::Array(Box::new(items)),
                None => return Ok(None),
            },
            Shape::Map(values) => match self.sql_type(values)? {
                Some(values) => SqlType::Map(text(), Box::new(values)),
                None => return Ok(None),
            },
            Shape::Entries { key, value, .. } => match (self.sql_type(key)?, self.sql_type(value)?) {
                // Maps have text for keys.
                (Some(SqlType::String), Some(value)) => SqlType::Map(text(), Box::new(value)),
                _ => return Ok(None),
            },
            Shape::Nullable { inner, .. } => return self.sql_type(inner),
            Shape::Record(record) => {
                let fields = record.fields.iter();
                return self.structure(fields.map(|field| (field.name.as_str(), field.schema)));
            }
            Shape::Union(branches) => {
                let branches = branches
                    .iter()
                    .filter(|branch| !matches!(Shape::of(schema, **branch), Shape::Null))
                    .map(|branch| (branch_name(schema, *branch), *branch));
                return self.structure(branches);
            }
        }))
    }

    fn structure<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a str, NodeId)>,
    ) -> Result<Option<SqlType>, String> {
        let mut known = Vec::new();
        for (name, id) in fields {
            self.types.add_name(name)?;
            if let Some(sql_type) = self.sql_type(id)? {
                known.push(StructField {
                    name: self.names.of(name),
                    sql_type,
                });
            }
        }
        Ok((!known.is_empty()).then_some(SqlType::Struct(known)))
    }
}
