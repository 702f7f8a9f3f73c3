//! What several fuzz targets share.

pub mod bounded_memory;
pub mod ksql_rows;
