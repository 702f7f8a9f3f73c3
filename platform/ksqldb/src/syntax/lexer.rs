//! Text to tokens.

use super::SyntaxError;
use super::ast::Position;
use super::token::{Keyword, Token, TokenKind};

/// The tokens of a text, the last one [`TokenKind::End`]. `origin` is where the text begins.
///
/// Only an unterminated string, name or comment is an error here: a character that begins no token
/// becomes [`TokenKind::Unknown`], so that the parser can say what it expected instead.
pub(super) fn tokenize(text: &str, origin: Position) -> Result<Vec<Token<'_>>, SyntaxError> {
    let mut lexer = Lexer {
        text,
        offset: 0,
        position: origin,
    };
    let mut tokens = Vec::new();
    // Where the statement at hand begins, for the error that what it opened is not closed.
    let mut statement = 0;
    loop {
        lexer.skip_blanks(statement)?;
        let (start, position) = (lexer.offset, lexer.position);
        let kind = lexer.token(statement)?;
        if kind == TokenKind::Semicolon {
            statement = lexer.offset;
        }
        tokens.push(Token {
            kind,
            text: &text[start..lexer.offset],
            start,
            position,
        });
        if kind == TokenKind::End {
            return Ok(tokens);
        }
    }
}

struct Lexer<'text> {
    text: &'text str,
    offset: usize,
    position: Position,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.offset..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.offset += character.len_utf8();
        if character == '\n' {
            self.position.line += 1;
            self.position.column = 1;
        } else {
            self.position.column += 1;
        }
        Some(character)
    }

    fn accept(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            prefix.chars().for_each(|_| {
                self.bump();
            });
        }
        found
    }

    fn bump_while(&mut self, belongs: fn(char) -> bool) {
        while self.peek().is_some_and(belongs) {
            self.bump();
        }
    }

    fn skip_blanks(&mut self, statement: usize) -> Result<(), SyntaxError> {
        loop {
            let position = self.position;
            if self.accept("--") {
                self.bump_while(|character| character != '\n');
            } else if self.accept("/*") {
                while !self.accept("*/") {
                    if self.bump().is_none() {
                        return Err(self.unterminated("comment", position, statement));
                    }
                }
            } else if self.peek().is_some_and(char::is_whitespace) {
                self.bump();
            } else {
                return Ok(());
            }
        }
    }

    fn unterminated(&self, what: &str, position: Position, statement: usize) -> SyntaxError {
        // Of a quote that nothing closes ksqlDB only says where it is.
        let message = match what {
            "comment" => "unterminated comment",
            _ => "",
        };
        SyntaxError::new(position, message, &self.text[statement..])
    }

    fn token(&mut self, statement: usize) -> Result<TokenKind, SyntaxError> {
        const SIGNS: [(&str, TokenKind); 23] = [
            ("=>", TokenKind::LambdaArrow),
            ("<>", TokenKind::NotEqual),
            ("!=", TokenKind::NotEqual),
            ("<=", TokenKind::LessOrEqual),
            (">=", TokenKind::GreaterOrEqual),
            ("->", TokenKind::Arrow),
            (":=", TokenKind::Assign),
            ("||", TokenKind::Concat),
            ("=", TokenKind::Equal),
            ("<", TokenKind::Less),
            (">", TokenKind::Greater),
            ("+", TokenKind::Plus),
            ("-", TokenKind::Minus),
            ("*", TokenKind::Star),
            ("/", TokenKind::Slash),
            ("%", TokenKind::Percent),
            (",", TokenKind::Comma),
            (".", TokenKind::Dot),
            ("(", TokenKind::LeftParenthesis),
            (")", TokenKind::RightParenthesis),
            ("[", TokenKind::LeftBracket),
            ("]", TokenKind::RightBracket),
            (";", TokenKind::Semicolon),
        ];
        let Some(first) = self.peek() else {
            return Ok(TokenKind::End);
        };
        match first {
            '\'' => self.quoted('\'', "string", statement).map(|()| TokenKind::String),
            '`' | '"' => self
                .quoted(first, "quoted name", statement)
                .map(|()| TokenKind::Quoted),
            '0'..='9' => Ok(self.number_or_word()),
            '.' if self.rest()[1..].starts_with(|next: char| next.is_ascii_digit()) => {
                Ok(self.number_or_word())
            }
            '$' if self.variable() => Ok(TokenKind::Variable),
            _ if is_word_start(first) => Ok(self.word()),
            _ => {
                let sign = SIGNS.iter().find(|(sign, _)| self.accept(sign));
                Ok(sign.map_or_else(
                    || {
                        self.bump();
                        TokenKind::Unknown
                    },
                    |(_, kind)| *kind,
                ))
            }
        }
    }

    /// A text between quotes, where two quotes in a row stand for one.
    fn quoted(&mut self, quote: char, what: &str, statement: usize) -> Result<(), SyntaxError> {
        let position = self.position;
        self.bump();
        loop {
            match self.bump() {
                None => return Err(self.unterminated(what, position, statement)),
                Some(character) if character == quote => {
                    if self.peek() != Some(quote) {
                        return Ok(());
                    }
                    self.bump();
                }
                Some(_) => {}
            }
        }
    }

    fn word(&mut self) -> TokenKind {
        let start = self.offset;
        self.bump_while(is_word_part);
        TokenKind::Word(Keyword::of(&self.text[start..self.offset]))
    }

    /// A number, or a word that begins with a digit: the longer of the two.
    fn number_or_word(&mut self) -> TokenKind {
        let rest = self.rest();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut length = digits(rest);
        let mut kind = TokenKind::Integer;
        if rest[length..].starts_with('.') {
            length += 1 + digits(&rest[length + 1..]);
            kind = TokenKind::Decimal;
        }
        if rest[length..].starts_with(['e', 'E']) {
            let signed = rest[length + 1..].starts_with(['+', '-']);
            let exponent = length + 1 + usize::from(signed);
            let count = digits(&rest[exponent..]);
            if count > 0 {
                length = exponent + count;
                kind = TokenKind::Double;
            }
        }
        let word = rest
            .chars()
            .take_while(|character| is_word_part(*character))
            .count();
        if word > length {
            return self.word();
        }
        for _ in 0..length {
            self.bump();
        }
        kind
    }

    /// `${name}`, or nothing.
    fn variable(&mut self) -> bool {
        let length = variable_length(self.rest());
        for _ in 0..length {
            self.bump();
        }
        length > 0
    }
}

/// How many bytes of the text's beginning are a `${name}`.
pub(super) fn variable_length(text: &str) -> usize {
    let Some(inner) = text.strip_prefix("${") else {
        return 0;
    };
    let name = inner.bytes().take_while(|byte| is_name_byte(*byte)).count();
    let begins_right = inner.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic());
    if begins_right && inner[name..].starts_with('}') {
        name + 3
    } else {
        0
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// Whether an unquoted word may begin with the character.
pub(super) fn is_word_start(character: char) -> bool {
    character == '_' || character == '@' || character.is_ascii_alphabetic()
}

/// Whether an unquoted word may go on with the character.
pub(super) fn is_word_part(character: char) -> bool {
    is_word_start(character) || character.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGIN: Position = Position { line: 1, column: 1 };

    fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
        let tokens = tokenize(text, ORIGIN).unwrap();
        tokens.iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn numbers_and_words_that_begin_with_digits() {
        use TokenKind::{Decimal, Double, End, Integer, Word};
        assert_eq!(
            kinds("1 1. .5 1.5 1e3 1.5E-3 1e 7up 1e3x"),
            [
                (Integer, "1"),
                (Decimal, "1."),
                (Decimal, ".5"),
                (Decimal, "1.5"),
                (Double, "1e3"),
                (Double, "1.5E-3"),
                (Word(None), "1e"),
                (Word(None), "7up"),
                (Word(None), "1e3x"),
                (End, ""),
            ]
        );
    }

    #[test]
    fn quotes_double_inside_themselves() {
        use TokenKind::{End, Quoted, String};
        assert_eq!(
            kinds("'it''s' `a``b` \"c\"\"d\" ''"),
            [
                (String, "'it''s'"),
                (Quoted, "`a``b`"),
                (Quoted, "\"c\"\"d\""),
                (String, "''"),
                (End, "")
            ]
        );
    }

    #[test]
    fn positions_count_characters_and_offsets_count_bytes() {
        let tokens = tokenize("'żółć'\n ñ x -- c\n  y", ORIGIN).unwrap();
        let places: Vec<_> = tokens
            .iter()
            .map(|token| {
                (
                    token.text,
                    token.start,
                    token.position.line,
                    token.position.column,
                )
            })
            .collect();
        assert_eq!(
            places,
            [
                ("'żółć'", 0, 1, 1),
                ("ñ", 12, 2, 2),
                ("x", 15, 2, 4),
                ("y", 24, 3, 3),
                ("", 25, 3, 4)
            ]
        );
    }

    #[test]
    fn what_is_not_closed_is_named_where_it_opens() {
        for (text, message) in [
            ("a 'b", "line 1:3: Syntax Error\n"),
            ("a\n`b", "line 2:1: Syntax Error\n"),
            ("a /* b", "line 1:3: Syntax Error\nunterminated comment"),
        ] {
            assert_eq!(tokenize(text, ORIGIN).unwrap_err().to_string(), message);
        }
        let error = tokenize("list streams; drop 'x", ORIGIN).unwrap_err();
        assert_eq!(error.statement, "drop 'x");
    }

    #[test]
    fn variables_have_names() {
        use TokenKind::{End, Unknown, Variable, Word};
        assert_eq!(kinds("${a_1}"), [(Variable, "${a_1}"), (End, "")]);
        assert_eq!(
            kinds("${1}")[..2],
            [(Unknown, "$"), (Unknown, "{")],
            "a name cannot begin with a digit"
        );
        assert_eq!(kinds("$x")[1], (Word(None), "x"));
    }

    proptest! {
        #[test]
        fn tokens_and_blanks_make_up_the_text(text in "[a-z0-9.'`\"$ {}\n/*;=<>ż😀-]{0,40}") {
            if let Ok(tokens) = tokenize(&text, ORIGIN) {
                let mut end = 0;
                for token in &tokens {
                    prop_assert!(token.start >= end);
                    prop_assert_eq!(&text[token.start..token.end()], token.text);
                    let before = &text[..token.start];
                    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
                    prop_assert_eq!(token.position.line as usize, before.matches('\n').count() + 1);
                    prop_assert_eq!(token.position.column as usize, before[line_start..].chars().count() + 1);
                    end = token.end();
                }
                prop_assert_eq!(end, text.trim_end().len().max(end));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = tokenize(&text, ORIGIN);
        }
    }
}
