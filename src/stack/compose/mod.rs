//! Reads a stack from a Compose file: a documented subset of the Compose specification
//! (<https://github.com/compose-spec/compose-spec>) with the extension `x-osqdemo`. Unknown fields are
//! errors: a field that would be silently ignored is worse than one that is refused.

mod checks;
mod document;
mod error;
#[cfg(test)]
mod tests;
mod values;

use document::ComposeFile;
pub use error::StackError;

use crate::stack::{Service, Stack};

/// How many characters of the beginning and of the end of the parser's words are told.
const EXCERPT: usize = 120;

/// Reads and checks a stack.
pub(super) fn parse(file: &str, text: &str) -> Result<Stack, StackError> {
    let parsed: ComposeFile = serde_yaml::from_str(text).map_err(|source| StackError::Syntax {
        file: file.to_owned(),
        reason: excerpt(&source.to_string()),
    })?;
    let volumes: Vec<String> = parsed.volumes.0.into_iter().map(|(name, _)| name).collect();
    for (name, definition) in &parsed.services.0 {
        definition.check_optional(file, name)?;
        definition.check_configs(file, name, &parsed.configs)?;
    }
    let services: Vec<Service> = parsed
        .services
        .0
        .into_iter()
        .map(|(name, definition)| definition.into_service(name, &parsed.configs))
        .collect();
    let mut stack = Stack {
        order: services.iter().map(|service| service.name.clone()).collect(),
        services,
        left_out: Vec::new(),
        optional: Vec::new(),
        kafka: None,
    };
    checks::dependencies(file, &stack)?;
    checks::volumes(file, &stack, &volumes)?;
    checks::configs(file, &stack)?;
    checks::optional(file, &stack)?;
    let all = std::mem::take(&mut stack.services);
    for (place, service) in all.into_iter().enumerate() {
        match service.optional {
            Some(_) => stack.optional.push((place, service)),
            None => stack.services.push(service),
        }
    }
    Ok(stack)
}

/// What the parser said, short: it quotes a wrong value in full, which may be the whole file. What is wrong stands at
/// the beginning, what is expected and where at the end.
fn excerpt(reason: &str) -> String {
    let length = reason.chars().count();
    if length <= 2 * EXCERPT {
        return reason.to_owned();
    }
    let begin: String = reason.chars().take(EXCERPT).collect();
    let end: String = reason.chars().skip(length - EXCERPT).collect();
    format!("{begin} … {end}")
}
