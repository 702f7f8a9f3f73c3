//! Every function of ksqlDB as it is listed and described, the ones over many rows too: what `LIST FUNCTIONS` and
//! `DESCRIBE FUNCTION` show, and what an error says that names the alternatives.
//!
//! Whether arguments fit, and what is computed, is told where the functions are.
//!
//! Long because it is one table: an entry for each function of ksqlDB, by name.

use crate::types::SqlType;

/// A function as it is listed.
#[derive(Debug)]
pub struct Listed {
    /// Its name, upper case.
    pub name: &'static str,
    /// Its name as ksqlDB's errors spell it.
    pub spelling: &'static str,
    /// What it works on.
    pub sort: Sort,
    /// Its theme, such as `STRING` or `DATE / TIME`.
    pub category: &'static str,
    /// Its forms: `VARCHAR str, INT pos -> VARCHAR`.
    signatures: &'static [&'static str],
}

/// What a function works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The values of one row.
    Scalar,
    /// A column of many rows.
    Aggregate,
    /// The values of one row; the result is many rows.
    Table,
}

impl Sort {
    /// ksqlDB's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "SCALAR",
            Self::Aggregate => "AGGREGATE",
            Self::Table => "TABLE",
        }
    }
}

/// A form of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// The type of its result.
    pub result: &'static str,
}

/// A parameter of a form of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its type, without the dots of one that may be repeated.
    pub sql_type: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Whether it may be repeated.
    pub is_variadic: bool,
}

impl Listed {
    /// Who ksqlDB says has written it: of one it does not say.
    pub fn author(&self) -> &'static str {
        match self.name {
            "LEN" => "",
            _ => "Confluent",
        }
    }

    /// Its forms, taken apart.
    pub fn signatures(&self) -> Vec<Signature> {
        self.signatures
            .iter()
            .map(|text| Signature::parse(text))
            .collect()
    }

    /// Its forms as an error lists them: `UCASE(VARCHAR input)`, one a line.
    pub fn alternatives(&self) -> String {
        let calls = self.signatures.iter().map(|text| {
            let parameters = text
                .rsplit_once(" -> ")
                .map_or(*text, |(parameters, _)| parameters);
            let name = match self.sort {
                Sort::Aggregate => self.spelling,
                Sort::Scalar | Sort::Table => self.name,
            };
            format!("{name}({})", parameters.trim())
        });
        calls.collect::<Vec<_>>().join("\n")
    }

    /// How many forms take arguments of these types, where a number may widen and a text may become a date, a time
    /// or bytes. More than one, where none fits exactly, leaves open which is meant.
    pub(crate) fn forms_that_take(&self, arguments: &[Option<SqlType>]) -> usize {
        let signatures = self.signatures();
        let fitting = signatures.iter().filter(|signature| signature.takes(arguments));
        fitting.count()
    }
}

impl Signature {
    fn parse(text: &'static str) -> Self {
        let (parameters, result) = text.rsplit_once(" -> ").unwrap_or((text, ""));
        let mut parts = Vec::new();
        let (mut depth, mut begin) = (0_i32, 0);
        let bytes = parameters.as_bytes();
        for (index, byte) in bytes.iter().enumerate() {
            match byte {
                b'<' | b'(' => depth += 1,
                b')' => depth -= 1,
                // The bracket of `=>` closes nothing.
                b'>' if index > 0 && bytes[index - 1] != b'=' => depth -= 1,
                b',' if depth == 0 => {
                    parts.push(&parameters[begin..index]);
                    begin = index + 1;
                }
                _ => {}
            }
        }
        parts.push(&parameters[begin..]);
        let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
        Self {
            parameters: parts.map(Parameter::parse).collect(),
            result: result.trim(),
        }
    }

    fn takes(&self, arguments: &[Option<SqlType>]) -> bool {
        let fixed = match self.parameters.split_last() {
            Some((last, fixed)) if last.is_variadic => fixed.len(),
            _ if self.parameters.len() == arguments.len() => arguments.len(),
            _ => return false,
        };
        arguments.len() >= fixed
            && arguments.iter().enumerate().all(|(place, argument)| {
                let parameter = self.parameters.get(place).or(self.parameters.last());
                parameter.is_some_and(|parameter| parameter.takes(argument.as_ref()))
            })
    }
}

impl Parameter {
    /// Its type as a list of types has it, with dots where it may be repeated.
    pub fn type_text(&self) -> String {
        let dots = if self.is_variadic { "..." } else { "" };
        format!("{}{dots}", self.sql_type)
    }

    fn parse(text: &'static str) -> Self {
        let (sql_type, name) = text.rsplit_once(' ').unwrap_or((text, ""));
        Self {
            sql_type: sql_type.trim_end_matches("..."),
            name,
            is_variadic: sql_type.ends_with("..."),
        }
    }

    fn takes(&self, argument: Option<&SqlType>) -> bool {
        let Some(argument) = argument else {
            return true;
        };
        match (self.sql_type, argument) {
            ("INT", SqlType::Integer)
            | ("BIGINT", SqlType::Integer | SqlType::Bigint)
            | ("DECIMAL", SqlType::Integer | SqlType::Bigint | SqlType::Decimal { .. })
            | ("DOUBLE", SqlType::Integer | SqlType::Bigint | SqlType::Decimal { .. } | SqlType::Double)
            | ("VARCHAR", SqlType::String)
            | ("BOOLEAN", SqlType::Boolean)
            | ("BYTES", SqlType::Bytes | SqlType::String)
            | ("DATE", SqlType::Date | SqlType::String)
            | ("TIME", SqlType::Time | SqlType::String)
            | ("TIMESTAMP", SqlType::Timestamp | SqlType::String) => true,
            (name, SqlType::Array(_)) => name.starts_with("ARRAY<"),
            (name, SqlType::Map(..)) => name.starts_with("MAP<"),
            _ => false,
        }
    }
}

/// The function of that name (upper case) as it is listed.
pub fn listed(name: &str) -> Option<&'static Listed> {
    LISTED.iter().find(|function| function.name == name)
}

/// All of them, by name.
pub fn all_listed() -> impl Iterator<Item = &'static Listed> {
    LISTED.iter()
}

const fn function(
    name: &'static str,
    spelling: &'static str,
    sort: Sort,
    category: &'static str,
    signatures: &'static [&'static str],
) -> Listed {
    Listed {
        name,
        spelling,
        sort,
        category,
        signatures,
    }
}

static LISTED: &[Listed] = &[
    function(
        "ABS",
        "Abs",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DECIMAL val -> DECIMAL",
            "DOUBLE val -> DOUBLE",
            "INT val -> INT",
            "BIGINT val -> BIGINT",
        ],
    ),
    function(
        "ACOS",
        "acos",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "ARRAY_CONCAT",
        "array_concat",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> array1, ARRAY<T> array2 -> ARRAY<T>"],
    ),
    function(
        "ARRAY_CONTAINS",
        "ARRAY_CONTAINS",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> array, T val -> BOOLEAN"],
    ),
    function(
        "ARRAY_DISTINCT",
        "array_distinct",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> array -> ARRAY<T>"],
    ),
    function(
        "ARRAY_EXCEPT",
        "array_except",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> left, ARRAY<T> right -> ARRAY<T>"],
    ),
    function(
        "ARRAY_INTERSECT",
        "array_intersect",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> left, ARRAY<T> right -> ARRAY<T>"],
    ),
    function(
        "ARRAY_JOIN",
        "ARRAY_JOIN",
        Sort::Scalar,
        "ARRAY",
        &[
            "ARRAY<T> array -> VARCHAR",
            "ARRAY<T> array, VARCHAR delimiter -> VARCHAR",
        ],
    ),
    function(
        "ARRAY_LENGTH",
        "ARRAY_LENGTH",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> array -> INT"],
    ),
    function(
        "ARRAY_MAX",
        "array_max",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> array -> T"],
    ),
    function(
        "ARRAY_MIN",
        "array_min",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> array -> T"],
    ),
    function(
        "ARRAY_REMOVE",
        "array_remove",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> array, T victim -> ARRAY<T>"],
    ),
    function(
        "ARRAY_SORT",
        "array_sort",
        Sort::Scalar,
        "ARRAY",
        &[
            "ARRAY<T> input -> ARRAY<T>",
            "ARRAY<T> input, VARCHAR direction -> ARRAY<T>",
        ],
    ),
    function(
        "ARRAY_UNION",
        "array_union",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> left, ARRAY<T> right -> ARRAY<T>"],
    ),
    function(
        "ASIN",
        "asin",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "AS_MAP",
        "as_map",
        Sort::Scalar,
        "MAP",
        &["ARRAY<VARCHAR> keys, ARRAY<T> values -> MAP<VARCHAR, T>"],
    ),
    function(
        "AS_VALUE",
        "AS_VALUE",
        Sort::Scalar,
        "OTHER",
        &["T keyColumn -> T"],
    ),
    function(
        "ATAN",
        "atan",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "ATAN2",
        "atan2",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE y, DOUBLE x -> DOUBLE",
            "INT y, INT x -> DOUBLE",
            "BIGINT y, BIGINT x -> DOUBLE",
        ],
    ),
    function("ATTR", "ATTR", Sort::Aggregate, "AGGREGATE", &["T val1 -> T"]),
    function(
        "AVG",
        "avg",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "DOUBLE val1 -> DOUBLE",
            "INT val1 -> DOUBLE",
            "BIGINT val1 -> DOUBLE",
        ],
    ),
    function(
        "BIGINT_FROM_BYTES",
        "bigint_from_bytes",
        Sort::Scalar,
        "CONVERSIONS",
        &[
            "BYTES value -> BIGINT",
            "BYTES value, VARCHAR byteOrder -> BIGINT",
        ],
    ),
    function(
        "CBRT",
        "cbrt",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "CEIL",
        "Ceil",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DECIMAL val -> DECIMAL",
            "DOUBLE val -> DOUBLE",
            "INT val -> INT",
            "BIGINT val -> BIGINT",
        ],
    ),
    function(
        "CHR",
        "chr",
        Sort::Scalar,
        "STRING",
        &["INT decimalCode -> VARCHAR", "VARCHAR utf16Code -> VARCHAR"],
    ),
    function(
        "COALESCE",
        "COALESCE",
        Sort::Scalar,
        "CONDITIONAL",
        &["T first, T... others -> T"],
    ),
    function(
        "COLLECT_LIST",
        "collect_list",
        Sort::Aggregate,
        "AGGREGATE",
        &["T val1 -> ARRAY<T>"],
    ),
    function(
        "COLLECT_SET",
        "collect_set",
        Sort::Aggregate,
        "AGGREGATE",
        &["T val1 -> ARRAY<T>"],
    ),
    function(
        "CONCAT",
        "concat",
        Sort::Scalar,
        "STRING",
        &["BYTES... inputs -> BYTES", "VARCHAR... inputs -> VARCHAR"],
    ),
    function(
        "CONCAT_WS",
        "CONCAT_WS",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR separator, VARCHAR... inputs -> VARCHAR",
            "BYTES separator, BYTES... inputs -> BYTES",
        ],
    ),
    function(
        "CONVERT_TZ",
        "convert_tz",
        Sort::Scalar,
        "DATE / TIME",
        &["TIMESTAMP timestamp, VARCHAR fromTimeZone, VARCHAR toTimeZone -> TIMESTAMP"],
    ),
    function(
        "CORRELATION",
        "correlation",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "DOUBLE val1, DOUBLE val2 -> DOUBLE",
            "INT val1, INT val2 -> DOUBLE",
            "BIGINT val1, BIGINT val2 -> DOUBLE",
        ],
    ),
    function(
        "COS",
        "cos",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "COSH",
        "cosh",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "COT",
        "cot",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "COUNT",
        "COUNT",
        Sort::Aggregate,
        "AGGREGATE",
        &["T val1 -> BIGINT"],
    ),
    function(
        "COUNT_DISTINCT",
        "COUNT_DISTINCT",
        Sort::Aggregate,
        "AGGREGATE",
        &["T val1 -> BIGINT"],
    ),
    function(
        "CUBE_EXPLODE",
        "CUBE_EXPLODE",
        Sort::Table,
        "TABLE",
        &["ARRAY<T> columns -> ARRAY<T>"],
    ),
    function(
        "DATEADD",
        "dateadd",
        Sort::Scalar,
        "DATE / TIME",
        &["INTERVALUNIT unit, INT interval, DATE date -> DATE"],
    ),
    function(
        "DATESUB",
        "datesub",
        Sort::Scalar,
        "DATE / TIME",
        &["INTERVALUNIT unit, INT interval, DATE date -> DATE"],
    ),
    function(
        "DATETOSTRING",
        "datetostring",
        Sort::Scalar,
        "DATE / TIME",
        &["INT epochDays, VARCHAR formatPattern -> VARCHAR"],
    ),
    function(
        "DEGREES",
        "degrees",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "DOUBLE_FROM_BYTES",
        "double_from_bytes",
        Sort::Scalar,
        "CONVERSIONS",
        &[
            "BYTES value -> DOUBLE",
            "BYTES value, VARCHAR byteOrder -> DOUBLE",
        ],
    ),
    function(
        "EARLIEST_BY_OFFSET",
        "EARLIEST_BY_OFFSET",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "T val1 -> T",
            "T val1, BOOLEAN ignoreNulls -> T",
            "T val1, INT earliestN -> ARRAY<T>",
            "T val1, INT earliestN, BOOLEAN ignoreNulls -> ARRAY<T>",
        ],
    ),
    function(
        "ELT",
        "elt",
        Sort::Scalar,
        "STRING",
        &["INT n, VARCHAR... args -> VARCHAR"],
    ),
    function(
        "ENCODE",
        "encode",
        Sort::Scalar,
        "STRING",
        &["VARCHAR str, VARCHAR inputEncoding, VARCHAR outputEncoding -> VARCHAR"],
    ),
    function(
        "ENTRIES",
        "ENTRIES",
        Sort::Scalar,
        "MAP",
        &[
            "MAP<VARCHAR, STRUCT> map, BOOLEAN sorted -> ARRAY<STRUCT<K VARCHAR, V STRUCT>>",
            "MAP<VARCHAR, INT> map, BOOLEAN sorted -> ARRAY<STRUCT<K VARCHAR, V INT>>",
            "MAP<VARCHAR, BIGINT> map, BOOLEAN sorted -> ARRAY<STRUCT<K VARCHAR, V BIGINT>>",
            "MAP<VARCHAR, DOUBLE> map, BOOLEAN sorted -> ARRAY<STRUCT<K VARCHAR, V DOUBLE>>",
            "MAP<VARCHAR, BOOLEAN> map, BOOLEAN sorted -> ARRAY<STRUCT<K VARCHAR, V BOOLEAN>>",
            "MAP<VARCHAR, VARCHAR> map, BOOLEAN sorted -> ARRAY<STRUCT<K VARCHAR, V VARCHAR>>",
        ],
    ),
    function(
        "EXP",
        "exp",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE exponent -> DOUBLE",
            "INT exponent -> DOUBLE",
            "BIGINT exponent -> DOUBLE",
        ],
    ),
    function(
        "EXPLODE",
        "EXPLODE",
        Sort::Table,
        "TABLE",
        &["ARRAY<DECIMAL> input -> DECIMAL", "ARRAY<T> list -> T"],
    ),
    function(
        "EXTRACTJSONFIELD",
        "extractjsonfield",
        Sort::Scalar,
        "JSON",
        &["VARCHAR input, VARCHAR path -> VARCHAR"],
    ),
    function(
        "FIELD",
        "field",
        Sort::Scalar,
        "STRING",
        &["VARCHAR str, VARCHAR... args -> INT"],
    ),
    function(
        "FILTER",
        "filter",
        Sort::Scalar,
        "LAMBDA",
        &[
            "MAP<K, V> map, LAMBDA (K, V) => BOOLEAN biFunction -> MAP<K, V>",
            "ARRAY<T> array, LAMBDA (T) => BOOLEAN function -> ARRAY<T>",
        ],
    ),
    function(
        "FLOOR",
        "Floor",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DECIMAL val -> DECIMAL",
            "DOUBLE val -> DOUBLE",
            "INT val -> INT",
            "BIGINT val -> BIGINT",
        ],
    ),
    function(
        "FORMAT_DATE",
        "format_date",
        Sort::Scalar,
        "DATE / TIME",
        &["DATE date, VARCHAR formatPattern -> VARCHAR"],
    ),
    function(
        "FORMAT_TIME",
        "format_time",
        Sort::Scalar,
        "DATE / TIME",
        &["TIME time, VARCHAR formatPattern -> VARCHAR"],
    ),
    function(
        "FORMAT_TIMESTAMP",
        "format_timestamp",
        Sort::Scalar,
        "DATE / TIME",
        &[
            "TIMESTAMP timestamp, VARCHAR formatPattern -> VARCHAR",
            "TIMESTAMP timestamp, VARCHAR formatPattern, VARCHAR timeZone -> VARCHAR",
        ],
    ),
    function(
        "FROM_BYTES",
        "from_bytes",
        Sort::Scalar,
        "STRING",
        &["BYTES value, VARCHAR encoding -> VARCHAR"],
    ),
    function(
        "FROM_DAYS",
        "from_days",
        Sort::Scalar,
        "DATE / TIME",
        &["INT days -> DATE"],
    ),
    function(
        "FROM_UNIXTIME",
        "from_unixtime",
        Sort::Scalar,
        "DATE / TIME",
        &["BIGINT epochMilli -> TIMESTAMP"],
    ),
    function(
        "GENERATE_SERIES",
        "generate_series",
        Sort::Scalar,
        "ARRAY",
        &[
            "BIGINT start, BIGINT end -> ARRAY<BIGINT>",
            "BIGINT start, BIGINT end, INT step -> ARRAY<BIGINT>",
            "INT start, INT end -> ARRAY<INT>",
            "INT start, INT end, INT step -> ARRAY<INT>",
        ],
    ),
    function(
        "GEO_DISTANCE",
        "GEO_DISTANCE",
        Sort::Scalar,
        "OTHER",
        &[
            "DOUBLE lat1, DOUBLE lon1, DOUBLE lat2, DOUBLE lon2 -> DOUBLE",
            "DOUBLE lat1, DOUBLE lon1, DOUBLE lat2, DOUBLE lon2, VARCHAR units -> DOUBLE",
        ],
    ),
    function(
        "GREATEST",
        "greatest",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "TIME val, TIME... vals -> TIME",
            "TIMESTAMP val, TIMESTAMP... vals -> TIMESTAMP",
            "DECIMAL val, DECIMAL... vals -> DECIMAL",
            "DATE val, DATE... vals -> DATE",
            "BIGINT val, BIGINT... vals -> BIGINT",
            "DOUBLE val, DOUBLE... vals -> DOUBLE",
            "VARCHAR val, VARCHAR... vals -> VARCHAR",
            "BYTES val, BYTES... vals -> BYTES",
            "INT val, INT... vals -> INT",
        ],
    ),
    function(
        "HISTOGRAM",
        "histogram",
        Sort::Aggregate,
        "AGGREGATE",
        &["VARCHAR val1 -> MAP<VARCHAR, BIGINT>"],
    ),
    function(
        "IFNULL",
        "IFNULL",
        Sort::Scalar,
        "CONDITIONAL",
        &["T expression, T altValue -> T"],
    ),
    function(
        "INITCAP",
        "initcap",
        Sort::Scalar,
        "STRING",
        &["VARCHAR str -> VARCHAR"],
    ),
    function(
        "INSTR",
        "instr",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR str, VARCHAR substring -> INT",
            "VARCHAR str, VARCHAR substring, INT position -> INT",
            "VARCHAR str, VARCHAR substring, INT position, INT occurrence -> INT",
        ],
    ),
    function(
        "INT_FROM_BYTES",
        "int_from_bytes",
        Sort::Scalar,
        "CONVERSIONS",
        &["BYTES value -> INT", "BYTES value, VARCHAR byteOrder -> INT"],
    ),
    function(
        "IS_JSON_STRING",
        "IS_JSON_STRING",
        Sort::Scalar,
        "JSON",
        &["VARCHAR input -> BOOLEAN"],
    ),
    function(
        "JSON_ARRAY_CONTAINS",
        "JSON_ARRAY_CONTAINS",
        Sort::Scalar,
        "JSON",
        &["VARCHAR jsonArray, T val -> BOOLEAN"],
    ),
    function(
        "JSON_ARRAY_LENGTH",
        "JSON_ARRAY_LENGTH",
        Sort::Scalar,
        "JSON",
        &["VARCHAR jsonArray -> INT"],
    ),
    function(
        "JSON_CONCAT",
        "JSON_CONCAT",
        Sort::Scalar,
        "JSON",
        &["VARCHAR... jsonStrings -> VARCHAR"],
    ),
    function(
        "JSON_ITEMS",
        "JSON_ITEMS",
        Sort::Scalar,
        "JSON",
        &["VARCHAR jsonItems -> ARRAY<VARCHAR>"],
    ),
    function(
        "JSON_KEYS",
        "JSON_KEYS",
        Sort::Scalar,
        "JSON",
        &["VARCHAR jsonObj -> ARRAY<VARCHAR>"],
    ),
    function(
        "JSON_RECORDS",
        "JSON_RECORDS",
        Sort::Scalar,
        "JSON",
        &["VARCHAR jsonObj -> MAP<VARCHAR, VARCHAR>"],
    ),
    function(
        "LATEST_BY_OFFSET",
        "LATEST_BY_OFFSET",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "T val1 -> T",
            "T val1, BOOLEAN ignoreNulls -> T",
            "T val1, INT latestN -> ARRAY<T>",
            "T val1, INT latestN, BOOLEAN ignoreNulls -> ARRAY<T>",
        ],
    ),
    function(
        "LCASE",
        "lcase",
        Sort::Scalar,
        "STRING",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "LEAST",
        "least",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "TIME val, TIME... vals -> TIME",
            "TIMESTAMP val, TIMESTAMP... vals -> TIMESTAMP",
            "DECIMAL val, DECIMAL... vals -> DECIMAL",
            "DATE val, DATE... vals -> DATE",
            "BIGINT val, BIGINT... vals -> BIGINT",
            "DOUBLE val, DOUBLE... vals -> DOUBLE",
            "VARCHAR val, VARCHAR... vals -> VARCHAR",
            "BYTES val, BYTES... vals -> BYTES",
            "INT val, INT... vals -> INT",
        ],
    ),
    function(
        "LEN",
        "len",
        Sort::Scalar,
        "STRING",
        &["VARCHAR input -> INT", "BYTES input -> INT"],
    ),
    function(
        "LN",
        "ln",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "LOG",
        "log",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
            "DOUBLE base, DOUBLE value -> DOUBLE",
            "INT base, INT value -> DOUBLE",
            "BIGINT base, BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "LPAD",
        "lpad",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR input, INT targetLen, VARCHAR padding -> VARCHAR",
            "BYTES input, INT targetLen, BYTES padding -> BYTES",
        ],
    ),
    function(
        "MAP_KEYS",
        "map_keys",
        Sort::Scalar,
        "MAP",
        &["MAP<VARCHAR, T> input -> ARRAY<VARCHAR>"],
    ),
    function(
        "MAP_UNION",
        "map_union",
        Sort::Scalar,
        "MAP",
        &["MAP<VARCHAR, T> map1, MAP<VARCHAR, T> map2 -> MAP<VARCHAR, T>"],
    ),
    function(
        "MAP_VALUES",
        "map_values",
        Sort::Scalar,
        "MAP",
        &["MAP<VARCHAR, T> input -> ARRAY<T>"],
    ),
    function(
        "MASK",
        "mask",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR input -> VARCHAR",
            "VARCHAR input, VARCHAR upper, VARCHAR lower, VARCHAR digit, VARCHAR other -> VARCHAR",
        ],
    ),
    function(
        "MASK_KEEP_LEFT",
        "mask_keep_left",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR input, INT numChars -> VARCHAR",
            "VARCHAR input, INT numChars, VARCHAR upper, VARCHAR lower, VARCHAR digit, VARCHAR other -> VARCHAR",
        ],
    ),
    function(
        "MASK_KEEP_RIGHT",
        "mask_keep_right",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR input, INT numChars -> VARCHAR",
            "VARCHAR input, INT numChars, VARCHAR upper, VARCHAR lower, VARCHAR digit, VARCHAR other -> VARCHAR",
        ],
    ),
    function(
        "MASK_LEFT",
        "mask_left",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR input, INT numChars -> VARCHAR",
            "VARCHAR input, INT numChars, VARCHAR upper, VARCHAR lower, VARCHAR digit, VARCHAR other -> VARCHAR",
        ],
    ),
    function(
        "MASK_RIGHT",
        "mask_right",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR input, INT numChars -> VARCHAR",
            "VARCHAR input, INT numChars, VARCHAR upper, VARCHAR lower, VARCHAR digit, VARCHAR other -> VARCHAR",
        ],
    ),
    function(
        "MAX",
        "MAX",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "DECIMAL val1 -> DECIMAL",
            "DOUBLE val1 -> DOUBLE",
            "INT val1 -> INT",
            "BIGINT val1 -> BIGINT",
            "VARCHAR val1 -> VARCHAR",
            "DATE val1 -> DATE",
            "TIME val1 -> TIME",
            "TIMESTAMP val1 -> TIMESTAMP",
            "BYTES val1 -> BYTES",
        ],
    ),
    function("MD5", "md5", Sort::Scalar, "STRING", &["VARCHAR s -> VARCHAR"]),
    function(
        "MIN",
        "MIN",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "DECIMAL val1 -> DECIMAL",
            "DOUBLE val1 -> DOUBLE",
            "INT val1 -> INT",
            "BIGINT val1 -> BIGINT",
            "VARCHAR val1 -> VARCHAR",
            "DATE val1 -> DATE",
            "TIME val1 -> TIME",
            "TIMESTAMP val1 -> TIMESTAMP",
            "BYTES val1 -> BYTES",
        ],
    ),
    function(
        "NULLIF",
        "NULLIF",
        Sort::Scalar,
        "CONDITIONAL",
        &["T expr1, T expr2 -> T"],
    ),
    function(
        "PARSE_DATE",
        "parse_date",
        Sort::Scalar,
        "DATE / TIME",
        &["VARCHAR formattedDate, VARCHAR formatPattern -> DATE"],
    ),
    function(
        "PARSE_TIME",
        "parse_time",
        Sort::Scalar,
        "DATE / TIME",
        &["VARCHAR formattedTime, VARCHAR formatPattern -> TIME"],
    ),
    function(
        "PARSE_TIMESTAMP",
        "parse_timestamp",
        Sort::Scalar,
        "DATE / TIME",
        &[
            "VARCHAR formattedTimestamp, VARCHAR formatPattern -> TIMESTAMP",
            "VARCHAR formattedTimestamp, VARCHAR formatPattern, VARCHAR timeZone -> TIMESTAMP",
        ],
    ),
    function("PI", "pi", Sort::Scalar, "MATHEMATICAL", &[" -> DOUBLE"]),
    function(
        "POWER",
        "power",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE base, DOUBLE exponent -> DOUBLE",
            "INT base, INT exponent -> DOUBLE",
            "BIGINT base, BIGINT exponent -> DOUBLE",
        ],
    ),
    function(
        "RADIANS",
        "radians",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function("RANDOM", "random", Sort::Scalar, "MATHEMATICAL", &[" -> DOUBLE"]),
    function(
        "REDUCE",
        "reduce",
        Sort::Scalar,
        "LAMBDA",
        &[
            "MAP<K, V> map, S initialState, LAMBDA (S, K, V) => S triFunction -> S",
            "ARRAY<T> list, S initialState, LAMBDA (S, T) => S biFunction -> S",
        ],
    ),
    function(
        "REGEXP_EXTRACT",
        "regexp_extract",
        Sort::Scalar,
        "REGULAR EXPRESSION",
        &[
            "VARCHAR pattern, VARCHAR input -> VARCHAR",
            "VARCHAR pattern, VARCHAR input, INT group -> VARCHAR",
        ],
    ),
    function(
        "REGEXP_EXTRACT_ALL",
        "regexp_extract_all",
        Sort::Scalar,
        "REGULAR EXPRESSION",
        &[
            "VARCHAR pattern, VARCHAR input -> ARRAY<VARCHAR>",
            "VARCHAR pattern, VARCHAR input, INT group -> ARRAY<VARCHAR>",
        ],
    ),
    function(
        "REGEXP_REPLACE",
        "regexp_replace",
        Sort::Scalar,
        "REGULAR EXPRESSION",
        &["VARCHAR str, VARCHAR pattern, VARCHAR newStr -> VARCHAR"],
    ),
    function(
        "REGEXP_SPLIT_TO_ARRAY",
        "regexp_split_to_array",
        Sort::Scalar,
        "REGULAR EXPRESSION",
        &["VARCHAR string, VARCHAR regexp -> ARRAY<VARCHAR>"],
    ),
    function(
        "REPLACE",
        "replace",
        Sort::Scalar,
        "STRING",
        &["VARCHAR str, VARCHAR oldStr, VARCHAR newStr -> VARCHAR"],
    ),
    function(
        "ROUND",
        "Round",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DECIMAL val -> DECIMAL",
            "DOUBLE val, INT decimalPlaces -> DOUBLE",
            "DOUBLE val -> BIGINT",
            "DECIMAL val, INT decimalPlaces -> DECIMAL",
            "INT val -> INT",
            "BIGINT val -> BIGINT",
        ],
    ),
    function(
        "RPAD",
        "rpad",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR input, INT targetLen, VARCHAR padding -> VARCHAR",
            "BYTES input, INT targetLen, BYTES padding -> BYTES",
        ],
    ),
    function(
        "SIGN",
        "sign",
        Sort::Scalar,
        "MATHEMATICAL",
        &["DOUBLE value -> INT", "INT value -> INT", "BIGINT value -> INT"],
    ),
    function(
        "SIN",
        "sin",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "SINH",
        "sinh",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "SLICE",
        "slice",
        Sort::Scalar,
        "ARRAY",
        &["ARRAY<T> in, INT from, INT to -> ARRAY<T>"],
    ),
    function(
        "SPLIT",
        "split",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR string, VARCHAR delimiter -> ARRAY<VARCHAR>",
            "BYTES bytes, BYTES delimiter -> ARRAY<BYTES>",
        ],
    ),
    function(
        "SPLIT_TO_MAP",
        "split_to_map",
        Sort::Scalar,
        "STRING",
        &["VARCHAR input, VARCHAR entryDelimiter, VARCHAR kvDelimiter -> MAP<VARCHAR, VARCHAR>"],
    ),
    function(
        "SQRT",
        "sqrt",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "STDDEV_SAMP",
        "STDDEV_SAMP",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "DOUBLE val1 -> DOUBLE",
            "INT val1 -> DOUBLE",
            "BIGINT val1 -> DOUBLE",
        ],
    ),
    function(
        "STDDEV_SAMPLE",
        "STDDEV_SAMPLE",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "DOUBLE val1 -> DOUBLE",
            "INT val1 -> DOUBLE",
            "BIGINT val1 -> DOUBLE",
        ],
    ),
    function(
        "STRINGTODATE",
        "stringtodate",
        Sort::Scalar,
        "DATE / TIME",
        &["VARCHAR formattedDate, VARCHAR formatPattern -> INT"],
    ),
    function(
        "STRINGTOTIMESTAMP",
        "stringtotimestamp",
        Sort::Scalar,
        "DATE / TIME",
        &[
            "VARCHAR formattedTimestamp, VARCHAR formatPattern -> BIGINT",
            "VARCHAR formattedTimestamp, VARCHAR formatPattern, VARCHAR timeZone -> BIGINT",
        ],
    ),
    function(
        "SUBSTRING",
        "substring",
        Sort::Scalar,
        "STRING",
        &[
            "VARCHAR str, INT pos, INT length -> VARCHAR",
            "BYTES bytes, INT pos, INT length -> BYTES",
            "BYTES bytes, INT pos -> BYTES",
            "VARCHAR str, INT pos -> VARCHAR",
        ],
    ),
    function(
        "SUM",
        "SUM",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "DECIMAL val1 -> DECIMAL",
            "DOUBLE val1 -> DOUBLE",
            "INT val1 -> INT",
            "BIGINT val1 -> BIGINT",
        ],
    ),
    function(
        "SUM_LIST",
        "sum_list",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "ARRAY<DOUBLE> val1 -> DOUBLE",
            "ARRAY<INT> val1 -> INT",
            "ARRAY<BIGINT> val1 -> BIGINT",
        ],
    ),
    function(
        "TAN",
        "tan",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "TANH",
        "tanh",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DOUBLE value -> DOUBLE",
            "INT value -> DOUBLE",
            "BIGINT value -> DOUBLE",
        ],
    ),
    function(
        "TIMEADD",
        "timeadd",
        Sort::Scalar,
        "DATE / TIME",
        &["INTERVALUNIT unit, INT interval, TIME time -> TIME"],
    ),
    function(
        "TIMESTAMPADD",
        "timestampadd",
        Sort::Scalar,
        "DATE / TIME",
        &["INTERVALUNIT unit, INT interval, TIMESTAMP timestamp -> TIMESTAMP"],
    ),
    function(
        "TIMESTAMPSUB",
        "timestampsub",
        Sort::Scalar,
        "DATE / TIME",
        &["INTERVALUNIT unit, INT interval, TIMESTAMP timestamp -> TIMESTAMP"],
    ),
    function(
        "TIMESTAMPTOSTRING",
        "timestamptostring",
        Sort::Scalar,
        "DATE / TIME",
        &[
            "BIGINT epochMilli, VARCHAR formatPattern -> VARCHAR",
            "BIGINT epochMilli, VARCHAR formatPattern, VARCHAR timeZone -> VARCHAR",
        ],
    ),
    function(
        "TIMESUB",
        "timesub",
        Sort::Scalar,
        "DATE / TIME",
        &["INTERVALUNIT unit, INT interval, TIME time -> TIME"],
    ),
    function(
        "TOPK",
        "TOPK",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "DECIMAL val1, INT k -> ARRAY<DECIMAL>",
            "DOUBLE val1, INT k -> ARRAY<DOUBLE>",
            "INT val1, INT k -> ARRAY<INT>",
            "BIGINT val1, INT k -> ARRAY<BIGINT>",
            "VARCHAR val1, INT k -> ARRAY<VARCHAR>",
            "DATE val1, INT k -> ARRAY<DATE>",
            "TIME val1, INT k -> ARRAY<TIME>",
            "TIMESTAMP val1, INT k -> ARRAY<TIMESTAMP>",
            "BYTES val1, INT k -> ARRAY<BYTES>",
        ],
    ),
    function(
        "TOPKDISTINCT",
        "TOPKDISTINCT",
        Sort::Aggregate,
        "AGGREGATE",
        &[
            "DECIMAL val1, INT k -> ARRAY<DECIMAL>",
            "DOUBLE val1, INT k -> ARRAY<DOUBLE>",
            "INT val1, INT k -> ARRAY<INT>",
            "BIGINT val1, INT k -> ARRAY<BIGINT>",
            "VARCHAR val1, INT k -> ARRAY<VARCHAR>",
            "DATE val1, INT k -> ARRAY<DATE>",
            "TIME val1, INT k -> ARRAY<TIME>",
            "TIMESTAMP val1, INT k -> ARRAY<TIMESTAMP>",
            "BYTES val1, INT k -> ARRAY<BYTES>",
        ],
    ),
    function(
        "TO_BYTES",
        "to_bytes",
        Sort::Scalar,
        "STRING",
        &["VARCHAR value, VARCHAR encoding -> BYTES"],
    ),
    function(
        "TO_JSON_STRING",
        "TO_JSON_STRING",
        Sort::Scalar,
        "JSON",
        &["T val -> VARCHAR"],
    ),
    function(
        "TRANSFORM",
        "transform",
        Sort::Scalar,
        "LAMBDA",
        &[
            "MAP<K, V> map, LAMBDA (K, V) => R biFunction1, LAMBDA (K, V) => T biFunction2 -> MAP<R, T>",
            "ARRAY<T> array, LAMBDA (T) => R function -> ARRAY<R>",
        ],
    ),
    function(
        "TRIM",
        "trim",
        Sort::Scalar,
        "STRING",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "TRUNC",
        "Trunc",
        Sort::Scalar,
        "MATHEMATICAL",
        &[
            "DECIMAL val -> DECIMAL",
            "DOUBLE val, INT decimalPlaces -> DOUBLE",
            "DOUBLE val -> BIGINT",
            "DECIMAL val, INT decimalPlaces -> DECIMAL",
            "INT val -> INT",
            "BIGINT val -> BIGINT",
        ],
    ),
    function(
        "UCASE",
        "ucase",
        Sort::Scalar,
        "STRING",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "UNIX_DATE",
        "unix_date",
        Sort::Scalar,
        "DATE / TIME",
        &[" -> INT", "DATE date -> INT"],
    ),
    function(
        "UNIX_TIMESTAMP",
        "unix_timestamp",
        Sort::Scalar,
        "DATE / TIME",
        &[" -> BIGINT", "TIMESTAMP timestamp -> BIGINT"],
    ),
    function(
        "URL_DECODE_PARAM",
        "url_decode_param",
        Sort::Scalar,
        "URL",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "URL_ENCODE_PARAM",
        "url_encode_param",
        Sort::Scalar,
        "URL",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "URL_EXTRACT_FRAGMENT",
        "url_extract_fragment",
        Sort::Scalar,
        "URL",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "URL_EXTRACT_HOST",
        "url_extract_host",
        Sort::Scalar,
        "URL",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "URL_EXTRACT_PARAMETER",
        "url_extract_parameter",
        Sort::Scalar,
        "URL",
        &["VARCHAR input, VARCHAR paramToFind -> VARCHAR"],
    ),
    function(
        "URL_EXTRACT_PATH",
        "url_extract_path",
        Sort::Scalar,
        "URL",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "URL_EXTRACT_PORT",
        "url_extract_port",
        Sort::Scalar,
        "URL",
        &["VARCHAR input -> INT"],
    ),
    function(
        "URL_EXTRACT_PROTOCOL",
        "url_extract_protocol",
        Sort::Scalar,
        "URL",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "URL_EXTRACT_QUERY",
        "url_extract_query",
        Sort::Scalar,
        "URL",
        &["VARCHAR input -> VARCHAR"],
    ),
    function(
        "UUID",
        "uuid",
        Sort::Scalar,
        "STRING",
        &[" -> VARCHAR", "BYTES bytes -> VARCHAR"],
    ),
];

#[cfg(test)]
mod tests;
