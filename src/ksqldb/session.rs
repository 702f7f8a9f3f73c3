//! What a user has set for the statements that follow: properties and variables.
//!
//! `SET`, `UNSET`, `DEFINE`, `UNDEFINE` and `SHOW VARIABLES` never reach the server as statements. A client
//! remembers them and sends them along with every request, as ksqlDB's own command line does.

use serde_json::{Map, Value};

use super::lexer::Token;
use super::statement::Statement;
use crate::events::SessionChange;

/// Properties and variables.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    properties: Map<String, Value>,
    variables: Map<String, Value>,
}

/// A statement for the client itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `SET 'property'='value';`
    Set {
        /// The property.
        property: String,
        /// Its value.
        value: String,
    },
    /// `UNSET 'property';`
    Unset {
        /// The property.
        property: String,
    },
    /// `DEFINE name = 'value';`
    Define {
        /// The variable.
        variable: String,
        /// Its value.
        value: String,
    },
    /// `UNDEFINE name;`
    Undefine {
        /// The variable.
        variable: String,
    },
    /// `SHOW VARIABLES;`
    ShowVariables,
}

/// A directive that is not written as it must be, or that changes what is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The form is wrong.
    #[error("`{keyword}` is written `{form}`")]
    Form {
        /// The first word.
        keyword: &'static str,
        /// The right form.
        form: &'static str,
    },
    /// `UNSET` of what was not set.
    #[error("cannot unset property `{property}`: it was never set or it was unset")]
    NotSet {
        /// The property.
        property: String,
    },
    /// `UNDEFINE` of what was not defined.
    #[error("cannot undefine variable `{variable}`: it was never defined")]
    NotDefined {
        /// The variable.
        variable: String,
    },
}

impl Directive {
    /// Reads a directive; `None` when the statement is for the server.
    ///
    /// # Errors
    /// When it begins as a directive does, and goes on otherwise.
    pub fn parse(statement: &Statement) -> Result<Option<Self>, SessionError> {
        use Token::{Symbol, Text, Word};
        let tokens = statement.tokens();
        let Some(Word(keyword)) = tokens.first() else {
            return Ok(None);
        };
        let form = |keyword, form| Err(SessionError::Form { keyword, form });
        match (keyword.to_ascii_uppercase().as_str(), &tokens[1..]) {
            ("SET", [Text(property), Symbol('='), Text(value)]) => Ok(Some(Self::Set {
                property: property.clone(),
                value: value.clone(),
            })),
            ("SET", _) => form("SET", "SET 'property'='value';"),
            ("UNSET", [Text(property)]) => Ok(Some(Self::Unset {
                property: property.clone(),
            })),
            ("UNSET", _) => form("UNSET", "UNSET 'property';"),
            ("DEFINE", [Word(variable), Symbol('='), Text(value)]) => Ok(Some(Self::Define {
                variable: variable.clone(),
                value: value.clone(),
            })),
            ("DEFINE", _) => form("DEFINE", "DEFINE name = 'value';"),
            ("UNDEFINE", [Word(variable)]) => Ok(Some(Self::Undefine {
                variable: variable.clone(),
            })),
            ("UNDEFINE", _) => form("UNDEFINE", "UNDEFINE name;"),
            ("SHOW" | "LIST", [Word(what)]) if what.eq_ignore_ascii_case("VARIABLES") => {
                Ok(Some(Self::ShowVariables))
            }
            _ => Ok(None),
        }
    }
}

impl Session {
    /// A session that reads topics from their beginning.
    pub fn from_earliest() -> Self {
        let mut session = Self::default();
        session.set("auto.offset.reset", "earliest");
        session
    }

    /// The properties, as requests carry them.
    pub fn properties(&self) -> &Map<String, Value> {
        &self.properties
    }

    /// The variables, as requests carry them.
    pub fn variables(&self) -> &Map<String, Value> {
        &self.variables
    }

    /// Sets a property.
    pub fn set(&mut self, property: &str, value: &str) {
        self.properties.insert(property.to_owned(), Value::from(value));
    }

    /// Follows a directive and tells what has changed; nothing for `SHOW VARIABLES`.
    ///
    /// # Errors
    /// When there is nothing to unset or undefine.
    pub fn apply(&mut self, directive: &Directive) -> Result<Option<SessionChange>, SessionError> {
        Ok(match directive {
            Directive::Set { property, value } => {
                let before = self.properties.get(property).and_then(Value::as_str);
                let before = before.map(str::to_owned);
                self.set(property, value);
                Some(SessionChange::PropertySet {
                    property: property.clone(),
                    value: value.clone(),
                    before,
                })
            }
            Directive::Unset { property } => match self.properties.shift_remove(property) {
                Some(before) => Some(SessionChange::PropertyUnset {
                    property: property.clone(),
                    before: before.as_str().unwrap_or_default().to_owned(),
                }),
                None => {
                    return Err(SessionError::NotSet {
                        property: property.clone(),
                    });
                }
            },
            Directive::Define { variable, value } => {
                self.variables
                    .insert(variable.clone(), Value::from(value.as_str()));
                Some(SessionChange::VariableDefined {
                    variable: variable.clone(),
                    value: value.clone(),
                })
            }
            Directive::Undefine { variable } => match self.variables.shift_remove(variable) {
                Some(_) => Some(SessionChange::VariableUndefined {
                    variable: variable.clone(),
                }),
                None => {
                    return Err(SessionError::NotDefined {
                        variable: variable.clone(),
                    });
                }
            },
            Directive::ShowVariables => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::Script;
    use super::*;

    fn parse(source: &str) -> Result<Option<Directive>, SessionError> {
        Directive::parse(&Script::parse(source).statements[0])
    }

    #[test]
    fn directives_are_told_from_statements() {
        assert_eq!(
            parse("set 'auto.offset.reset' -- from the start\n = 'earliest';"),
            Ok(Some(Directive::Set {
                property: "auto.offset.reset".to_owned(),
                value: "earliest".to_owned()
            }))
        );
        assert_eq!(
            parse("DEFINE topic = 'it''s';"),
            Ok(Some(Directive::Define {
                variable: "topic".to_owned(),
                value: "it's".to_owned()
            }))
        );
        assert_eq!(parse("show variables;"), Ok(Some(Directive::ShowVariables)));
        assert_eq!(parse("SHOW STREAMS;"), Ok(None));
        assert_eq!(parse("SELECT 'SET' FROM x EMIT CHANGES;"), Ok(None));
    }

    #[test]
    fn a_wrong_form_is_told_with_the_right_one() {
        let error = |source| parse(source).unwrap_err().to_string();
        insta::assert_snapshot!(error("SET auto.offset.reset=earliest;"), @"`SET` is written `SET 'property'='value';`");
        insta::assert_snapshot!(error("UNSET;"), @"`UNSET` is written `UNSET 'property';`");
        insta::assert_snapshot!(error("DEFINE a;"), @"`DEFINE` is written `DEFINE name = 'value';`");
    }

    #[test]
    fn what_is_set_can_be_changed_and_unset() {
        let mut session = Session::default();
        let mut apply = |source: &str| {
            let directive = parse(source).unwrap().unwrap();
            match session.apply(&directive) {
                Ok(change) => Ok(change.expect("it changes something")),
                Err(error) => Err(error.to_string()),
            }
        };
        let set = |value: &str, before: Option<&str>| SessionChange::PropertySet {
            property: "a".to_owned(),
            value: value.to_owned(),
            before: before.map(str::to_owned),
        };
        let (variable, value, before) = ("b".to_owned(), "x".to_owned(), "2".to_owned());
        assert_eq!(apply("SET 'a'='1';"), Ok(set("1", None)));
        assert_eq!(apply("SET 'a'='2';"), Ok(set("2", Some("1"))));
        let property = "a".to_owned();
        assert_eq!(
            apply("UNSET 'a';"),
            Ok(SessionChange::PropertyUnset { property, before })
        );
        insta::assert_snapshot!(apply("UNSET 'a';").unwrap_err(), @"cannot unset property `a`: it was never set or it was unset");
        let defined = SessionChange::VariableDefined {
            variable: variable.clone(),
            value,
        };
        assert_eq!(apply("DEFINE b='x';"), Ok(defined));
        assert_eq!(
            apply("UNDEFINE b;"),
            Ok(SessionChange::VariableUndefined { variable })
        );
        insta::assert_snapshot!(apply("UNDEFINE b;").unwrap_err(), @"cannot undefine variable `b`: it was never defined");
        assert_eq!(session, Session::default());
    }
}
