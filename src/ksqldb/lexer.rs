//! The words and symbols of a script, as far as a client has to tell them apart. Pure text.

/// A word or symbol of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword or name, without quotes.
    Word(String),
    /// A string literal, without quotes.
    Text(String),
    /// Anything else.
    Symbol(char),
}

/// The significant words and symbols of a text.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    Lexer::new(source)
        .filter_map(|lexeme| {
            let text = &source[lexeme.start..lexeme.end];
            match lexeme.kind {
                LexemeKind::Space | LexemeKind::Comment | LexemeKind::Semicolon => None,
                LexemeKind::Word => Some(Token::Word(text.to_owned())),
                LexemeKind::Quoted if text.starts_with('\'') => Some(Token::Text(unquote(text))),
                LexemeKind::Quoted => Some(Token::Word(unquote(text))),
                LexemeKind::Symbol => text.chars().next().map(Token::Symbol),
            }
        })
        .collect()
}

/// Removes the quotes of a string or a quoted name; a doubled quote inside stands for one.
fn unquote(quoted: &str) -> String {
    let Some(quote) = quoted.chars().next() else {
        return String::new();
    };
    let inside = &quoted[quote.len_utf8()..];
    let inside = inside.strip_suffix(quote).unwrap_or(inside);
    let mut doubled = String::from(quote);
    doubled.push(quote);
    inside.replace(&doubled, quote.encode_utf8(&mut [0; 4]))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LexemeKind {
    Space,
    Comment,
    Quoted,
    Word,
    Symbol,
    Semicolon,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Lexeme {
    pub(super) kind: LexemeKind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether a comment or quotation has its closing mark.
    pub(super) closed: bool,
}

/// Cuts text into lexemes that cover it without gaps.
pub(super) struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, at: 0 }
    }

    /// The end of a run of characters that satisfy `belongs`, as an offset from the start of `rest`.
    fn run(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
        rest.find(|c| !belongs(c)).unwrap_or(rest.len())
    }

    fn quoted(rest: &str, quote: char) -> (usize, bool) {
        // A doubled quote closes one quotation and opens the next: the same text for our purpose, except
        // that both belong to one lexeme.
        let mut characters = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = characters.next() {
            if c != quote {
                continue;
            }
            match characters.peek() {
                Some(&(_, next)) if next == quote => {
                    characters.next();
                }
                _ => return (at + c.len_utf8(), true),
            }
        }
        (rest.len(), false)
    }
}

impl Iterator for Lexer<'_> {
    type Item = Lexeme;

    fn next(&mut self) -> Option<Lexeme> {
        let rest = &self.source[self.at..];
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut closed = true;
        let (kind, length) = if first.is_whitespace() {
            (LexemeKind::Space, Self::run(rest, char::is_whitespace))
        } else if rest.starts_with("--") {
            (LexemeKind::Comment, Self::run(rest, |c| c != '\n'))
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/");
            closed = end.is_some();
            (LexemeKind::Comment, end.map_or(rest.len(), |end| end + 4))
        } else if matches!(first, '\'' | '"' | '`') {
            let (length, is_closed) = Self::quoted(rest, first);
            closed = is_closed;
            (LexemeKind::Quoted, length)
        } else if first == ';' {
            (LexemeKind::Semicolon, 1)
        } else if is_word(first) {
            (LexemeKind::Word, Self::run(rest, is_word))
        } else {
            (LexemeKind::Symbol, first.len_utf8())
        };
        let start = self.at;
        self.at += length;
        Some(Lexeme {
            kind,
            start,
            end: self.at,
            closed,
        })
    }
}
