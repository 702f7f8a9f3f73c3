//! What statements are told that this server does not have, such as settings of a whole system, which are those of shared
//! runtimes.

use super::failure::{ErrorCode, Failure, Refusal};
use crate::syntax::ast::ParsedStatement;

/// Why a statement that this server does not have is not carried out.
pub(super) fn refusal(what: &str, parsed: &ParsedStatement) -> Failure {
    let text = &parsed.text;
    if what == "ALTER SYSTEM" {
        let message = format!(
            "Could not write the statement '{text}' into the command topic.\nCaused by: Cannot alter system configs when \
             KSQL_SHARED_RUNTIME_ENABLED is\n\tturned off."
        );
        return Refusal::new(ErrorCode::ServerError, message).failure(text);
    }
    let position = parsed.position;
    Refusal::from(format!("line {position}: {what} is not supported by this server")).failure(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    #[test]
    fn settings_of_the_system_are_those_of_shared_runtimes() {
        let parsed = parse("ALTER SYSTEM 'a'='b';").unwrap().remove(0);
        let failure = refusal("ALTER SYSTEM", &parsed);
        let told = failure.to_json();
        assert_eq!(told["error_code"], 50000);
        assert_eq!(
            told["message"],
            "Could not write the statement 'ALTER SYSTEM 'a'='b';' into the command topic.\nCaused by: Cannot alter \
             system configs when KSQL_SHARED_RUNTIME_ENABLED is\n\tturned off."
        );
    }
}
