//! What statements are told that the real server carries out with the help of others: connectors are Kafka Connect's
//! business, and nothing here asks it for any; settings of a whole system are those of shared runtimes.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::failure::{ErrorCode, Failure, Refusal};
use crate::syntax::ast::ParsedStatement;

/// Where ksqlDB looks for Kafka Connect unless it is told otherwise (`ksql.connect.url`).
const CONNECT: &str = "localhost:8083";

/// How long Kafka Connect may take to be there.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a statement that this server does not have is not carried out.
pub(super) async fn refusal(what: &str, parsed: &ParsedStatement) -> Failure {
    let text = &parsed.text;
    if what == "ALTER SYSTEM" {
        let message = format!(
            "Could not write the statement '{text}' into the command topic.\nCaused by: Cannot alter system configs when \
             KSQL_SHARED_RUNTIME_ENABLED is\n\tturned off."
        );
        return Refusal::new(ErrorCode::ServerError, message).failure(text);
    }
    if what.contains("CONNECTOR")
        && let Some(reason) = unreachable(CONNECT).await
    {
        let message = format!(
            "io.confluent.ksql.util.KsqlServerException: org.apache.hc.client5.http.HttpHostConnectException: Connect to \
             http://{CONNECT} [localhost/127.0.0.1] failed: {reason}\nCaused by: Could not connect to the server. Please \
             check the server details are\n\tcorrect and that the server is running."
        );
        return Refusal::new(ErrorCode::ServerError, message).failure(&without_settings(text));
    }
    let position = parsed.position;
    Refusal::from(format!("line {position}: {what} is not supported by this server")).failure(text)
}

/// Why nobody answers there, if nobody does.
async fn unreachable(address: &str) -> Option<&'static str> {
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => None,
        Ok(Err(_)) => Some("Connection refused"),
        Err(_) => Some("Connect timed out"),
    }
}

/// A statement without the values that it sets, which may be secrets, but for a connector's class.
fn without_settings(statement: &str) -> String {
    let mut masked = String::with_capacity(statement.len());
    let mut name = "";
    let mut is_value = false;
    for (index, part) in statement.split('\'').enumerate() {
        // The parts between quotes; a doubled quote inside of one makes an empty part between two.
        if index % 2 == 0 {
            is_value = part.contains('=') || (part.is_empty() && is_value);
            masked.push_str(part);
        } else {
            let shown = match is_value {
                true if !name.eq_ignore_ascii_case("connector.class") => "[string]",
                _ => part,
            };
            masked.push('\'');
            masked.push_str(shown);
            masked.push('\'');
            name = if is_value { "" } else { part };
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_unreachable() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(unreachable(&address).await, None);
        drop(listener);
        assert_eq!(unreachable(&address).await, Some("Connection refused"));
    }

    #[tokio::test]
    async fn settings_of_the_system_are_those_of_shared_runtimes() {
        let parsed = parse("ALTER SYSTEM 'a'='b';").unwrap().remove(0);
        let failure = refusal("ALTER SYSTEM", &parsed).await;
        let told = failure.to_json();
        assert_eq!(told["error_code"], 50000);
        assert_eq!(
            told["message"],
            "Could not write the statement 'ALTER SYSTEM 'a'='b';' into the command topic.\nCaused by: Cannot alter \
             system configs when KSQL_SHARED_RUNTIME_ENABLED is\n\tturned off."
        );
    }

    #[test]
    fn what_a_connector_is_set_to_is_not_told() {
        for (statement, masked) in [
            (
                "CREATE SOURCE CONNECTOR c WITH ('a'='b');",
                "CREATE SOURCE CONNECTOR c WITH ('a'='[string]');",
            ),
            (
                "CREATE SINK CONNECTOR c WITH ('connector.class' = 'x', \"pw\"='it''s', 'q'='r');",
                "CREATE SINK CONNECTOR c WITH ('connector.class' = 'x', \"pw\"='[string]''[string]', 'q'='[string]');",
            ),
            ("SHOW CONNECTORS;", "SHOW CONNECTORS;"),
        ] {
            assert_eq!(without_settings(statement), masked);
        }
    }
}
