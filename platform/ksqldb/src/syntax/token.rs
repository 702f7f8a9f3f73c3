//! The words and signs of the language, and which words may be names.

use super::ast::{Position, TimeUnit};

/// A token with the text it was read from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token<'text> {
    /// What it is.
    pub(super) kind: TokenKind,
    /// Its text, quotes included; empty at the end.
    pub(super) text: &'text str,
    /// The byte where it begins.
    pub(super) start: usize,
    /// Where it begins.
    pub(super) position: Position,
}

impl Token<'_> {
    /// The byte after it.
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The kinds of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// An unquoted word, with the keyword it is.
    Word(Option<Keyword>),
    /// `` `name` `` or `"name"`
    Quoted,
    /// `'text'`
    String,
    /// `42`
    Integer,
    /// `4.2`
    Decimal,
    /// `4e2`
    Double,
    /// `${name}`
    Variable,
    /// `=`
    Equal,
    /// `<>` or `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `%`
    Percent,
    /// `||`
    Concat,
    /// `:=`
    Assign,
    /// `->`
    Arrow,
    /// `=>`
    LambdaArrow,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `(`
    LeftParenthesis,
    /// `)`
    RightParenthesis,
    /// `[`
    LeftBracket,
    /// `]`
    RightBracket,
    /// `;`
    Semicolon,
    /// A character that begins no token.
    Unknown,
    /// The end of the text.
    End,
}

/// What a keyword may be besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Never a name unless quoted.
    Reserved,
    /// A name wherever the grammar leaves no doubt; the formatter quotes it so that none arises.
    Contextual,
    /// A name like any other.
    Free,
}

macro_rules! keywords {
    ($($class:ident { $($name:ident $text:literal)* })*) => {
        /// The words that mean something to the grammar.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Keyword {
            $($(#[doc = $text] $name,)*)*
        }

        impl Keyword {
            /// Every keyword, for the tests.
            #[cfg(test)]
            pub(super) const ALL: &'static [Keyword] = &[$($(Keyword::$name,)*)*];

            /// The keyword a word is, whatever its case.
            pub(super) fn of(word: &str) -> Option<Self> {
                match word.to_ascii_uppercase().as_str() {
                    $($($text => Some(Self::$name),)*)*
                    _ => None,
                }
            }

            /// Its text, upper case.
            pub(super) fn text(self) -> &'static str {
                match self {
                    $($(Self::$name => $text,)*)*
                }
            }

            /// Its text in quotes, as errors name it.
            pub(super) fn quoted(self) -> &'static str {
                match self {
                    $($(Self::$name => concat!("'", $text, "'"),)*)*
                }
            }

            fn class(self) -> Class {
                match self {
                    $($(Self::$name => Class::$class,)*)*
                }
            }
        }
    };
}

keywords! {
    Reserved {
        Advance "ADVANCE" All "ALL" And "AND" As "AS" At "AT" Beginning "BEGINNING" Between "BETWEEN" By "BY"
        Case "CASE" Cast "CAST" Create "CREATE" Delete "DELETE" Describe "DESCRIBE" Distinct "DISTINCT"
        Drop "DROP" Else "ELSE" End "END" Exists "EXISTS" Extended "EXTENDED" False "FALSE" From "FROM"
        Full "FULL" Group "GROUP" Having "HAVING" Hopping "HOPPING" In "IN" Inner "INNER" Insert "INSERT"
        Into "INTO" Is "IS" Join "JOIN" Left "LEFT" Like "LIKE" Limit "LIMIT" List "LIST" Not "NOT"
        Null "NULL" On "ON" Or "OR" Outer "OUTER" Print "PRINT" Properties "PROPERTIES"
        Queries "QUERIES" Query "QUERY" Retention "RETENTION" Right "RIGHT" Select "SELECT" Size "SIZE"
        Stream "STREAM" Streams "STREAMS" Table "TABLE" Terminate "TERMINATE" Then "THEN" To "TO"
        Topic "TOPIC" Topics "TOPICS" True "TRUE" Tumbling "TUMBLING" Unset "UNSET" Values "VALUES"
        When "WHEN" Where "WHERE" Window "WINDOW" With "WITH" Within "WITHIN"
    }
    Contextual {
        Array "ARRAY" Day "DAY" Days "DAYS" Emit "EMIT" Escape "ESCAPE" Hour "HOUR" Hours "HOURS"
        If "IF" Map "MAP" Millisecond "MILLISECOND" Milliseconds "MILLISECONDS" Minute "MINUTE"
        Minutes "MINUTES" Month "MONTH" Months "MONTHS" Partition "PARTITION" Second "SECOND"
        Seconds "SECONDS" Struct "STRUCT" Year "YEAR" Years "YEARS"
        Function "FUNCTION" Connector "CONNECTOR" Tables "TABLES"
    }
    Free {
        Add "ADD" Alter "ALTER" Assert "ASSERT" Changes "CHANGES" Column "COLUMN" Connectors "CONNECTORS"
        Define "DEFINE" Explain "EXPLAIN" Final "FINAL" Functions "FUNCTIONS" Grace "GRACE"
        Header "HEADER" Headers "HEADERS" Id "ID" Interval "INTERVAL" Key "KEY" Pause "PAUSE" Period "PERIOD"
        Plugins "PLUGINS" Primary "PRIMARY" Replace "REPLACE" Resume "RESUME" Run "RUN" Sample "SAMPLE"
        Schema "SCHEMA" Script "SCRIPT" Session "SESSION" Set "SET" Show "SHOW" Sink "SINK"
        Source "SOURCE" Subject "SUBJECT" System "SYSTEM" Timeout "TIMEOUT" Type "TYPE" Types "TYPES" Undefine "UNDEFINE"
        Variables "VARIABLES"
    }
}

impl Keyword {
    /// Whether it can only be a name when quoted.
    pub(super) fn is_reserved(self) -> bool {
        self.class() == Class::Reserved
    }

    /// Whether the formatter leaves a name of this spelling unquoted.
    pub(super) fn may_stand_unquoted(self) -> bool {
        self.class() == Class::Free
    }

    /// How many milliseconds the time unit has, or `None` where this is no unit of fixed length.
    pub(super) fn time_unit(self) -> Option<TimeUnit> {
        match self {
            Self::Millisecond | Self::Milliseconds => Some(TimeUnit::Milliseconds),
            Self::Second | Self::Seconds => Some(TimeUnit::Seconds),
            Self::Minute | Self::Minutes => Some(TimeUnit::Minutes),
            Self::Hour | Self::Hours => Some(TimeUnit::Hours),
            Self::Day | Self::Days => Some(TimeUnit::Days),
            _ => None,
        }
    }

    /// Whether it names a unit of time that has no fixed length.
    pub(super) fn is_calendar_unit(self) -> bool {
        matches!(self, Self::Month | Self::Months | Self::Year | Self::Years)
    }
}

/// Whether the function's first argument is a unit of time, as in `TIMESTAMPADD(SECONDS, 5, t)`.
/// The tree holds the unit as a string literal.
pub(super) fn takes_unit_first(function: &str) -> bool {
    matches!(
        function,
        "DATEADD" | "DATESUB" | "TIMEADD" | "TIMESUB" | "TIMESTAMPADD" | "TIMESTAMPSUB"
    )
}
