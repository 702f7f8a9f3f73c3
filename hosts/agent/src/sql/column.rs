//! A table's columns: names, types and the part each one plays in planning a query.

/// The types osquery's table specifications use, with SQLite's affinity for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Text,
    Integer,
    BigInt,
    /// Only tables of extensions have such columns here.
    Double,
}

impl ColumnType {
    /// The type as osquery declares it to SQLite.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Integer => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::Double => "DOUBLE",
        }
    }
}

/// One column, in the words of osquery's table specifications.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: ColumnType,
    /// An equality on this column saves work.
    pub(crate) index: bool,
    /// The table needs a constraint on this column (or on another required one) to give any row.
    pub(crate) required: bool,
    /// An equality on this column asks for data that is otherwise not collected.
    pub(crate) additional: bool,
    /// Not part of `select *`.
    pub(crate) hidden: bool,
    /// How its values are compared, when not byte by byte.
    pub(crate) collation: Option<&'static str>,
}

impl Column {
    pub(crate) const fn new(name: &'static str, kind: ColumnType) -> Self {
        Self {
            name,
            kind,
            index: false,
            required: false,
            additional: false,
            hidden: false,
            collation: None,
        }
    }

    pub(crate) const fn index(mut self) -> Self {
        self.index = true;
        self
    }

    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) const fn additional(mut self) -> Self {
        self.additional = true;
        self
    }

    pub(crate) const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    pub(crate) const fn ignore_case(self) -> Self {
        self.collate("NOCASE")
    }

    pub(crate) const fn version(self) -> Self {
        self.collate("version")
    }

    pub(crate) const fn dpkg_version(self) -> Self {
        self.collate("version_dpkg")
    }

    pub(crate) const fn rhel_version(self) -> Self {
        self.collate("version_rhel")
    }

    const fn collate(mut self, collation: &'static str) -> Self {
        self.collation = Some(collation);
        self
    }

    /// Whether constraints on this column are handed to the table at all.
    pub(crate) fn takes_constraints(&self) -> bool {
        self.index || self.required || self.additional
    }
}

/// Declares a module's `COLUMNS` and one `usize` constant per column, so that a column's place is written once.
macro_rules! columns {
    ($($constant:ident $name:literal $kind:ident $($flag:ident)*),* $(,)?) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "only counts the columns")]
        enum Place { $($constant),* }
        $(
            #[allow(dead_code, reason = "a column that is never filled stays null")]
            const $constant: usize = Place::$constant as usize;
        )*
        static COLUMNS: &[$crate::sql::Column] = &[
            $($crate::sql::Column::new($name, $crate::sql::ColumnType::$kind)$(.$flag())*),*
        ];
    };
}
pub(crate) use columns;
