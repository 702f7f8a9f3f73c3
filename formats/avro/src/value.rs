//! A value, as far as it can be one without its schema.

/// A value of some Avro type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `boolean`
    Boolean(bool),
    /// `int`
    Int(i32),
    /// `long`
    Long(i64),
    /// `float`
    Float(f32),
    /// `double`
    Double(f64),
    /// `bytes`
    Bytes(Vec<u8>),
    /// `string`
    String(String),
    /// `fixed`
    Fixed(Vec<u8>),
    /// A symbol of an `enum`, by its place.
    Enum(u32),
    /// `array`
    Array(Vec<Value>),
    /// `map`, in the order of the data.
    Map(Vec<(String, Value)>),
    /// `record`: its fields, in the order of the schema.
    Record(Vec<Value>),
    /// A branch of a union, by its place.
    Union(u32, Box<Value>),
}

impl Value {
    /// The value itself, whatever unions it stands in.
    pub fn without_union(&self) -> &Self {
        match self {
            Self::Union(_, value) => value.without_union(),
            value => value,
        }
    }
}
