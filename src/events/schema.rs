//! The JSON Schema of the lines of events: made from the types that they are written from.

use super::Line;

/// The schema as it is printed.
pub fn event_schema_text() -> String {
    format!("{:#}\n", schemars::schema_for!(Line).to_value())
}
