//! A server that fails at a statement because the broker does not answer: then that is what the user is told, as by
//! every other verb. What a statement itself is refused for is none of this.

use std::error::Error;

use super::KsqlCommandError;
use crate::commands::Context;
use crate::error::{Diagnose, Failure};
use crate::exit_code::ExitCode;
use crate::kafka;

/// The server could not do what it was asked, since the broker does not answer.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
struct BrokerSilent {
    /// What is the matter with the broker.
    cause: Failure,
    /// What the server said of it.
    said: String,
}

impl Diagnose for BrokerSilent {
    fn exit_code(&self) -> ExitCode {
        self.cause.diagnosis().exit_code()
    }

    fn hints(&self) -> Vec<String> {
        self.cause.diagnosis().hints()
    }

    fn details(&self) -> Vec<String> {
        let mut details = self.cause.diagnosis().details();
        details.push(format!("ksqlDB said: {}", self.said));
        details
    }
}

/// The failure of a statement; where the server failed rather than refused, the broker is asked whether it is the cause.
pub(super) async fn explained(context: &Context, failure: Failure) -> Failure {
    let Some(said) = own_failure(&failure) else {
        return failure;
    };
    let answers = async {
        let cluster = context.cluster().await?;
        Ok::<(), Failure>(kafka::reach(&cluster).await?)
    };
    tokio::select! {
        answers = answers => match answers {
            Ok(()) => failure,
            Err(cause) => BrokerSilent { cause, said }.into(),
        },
        // Whoever does not want to wait gets what is known.
        () = context.shutdown.token().cancelled() => failure,
    }
}

/// The words of a server that failed by itself.
fn own_failure(failure: &Failure) -> Option<String> {
    let error: &dyn Error = failure.diagnosis();
    match error.downcast_ref::<KsqlCommandError>()? {
        KsqlCommandError::Rejected(rejection) if rejection.error.is_servers_own_failure() => {
            Some(rejection.error.message.trim_end().to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ksqldb::ServerError;
    use crate::ksqldb::ddl::{Rejection, StatementFile, Submission};
    use crate::ksqldb::statement::Script;

    fn rejected(code: u32) -> Failure {
        let file = StatementFile {
            name: "<argument>".to_owned(),
            source: "SHOW TOPICS;".to_owned(),
        };
        let statement = Script::parse(&file.source).statements.remove(0);
        let error = ServerError {
            code,
            message: "cannot list the topics\n".to_owned(),
            statement: None,
        };
        let rejection = Rejection::new(&file, &statement, error, Submission::default(), Vec::new());
        KsqlCommandError::Rejected(Box::new(rejection)).into()
    }

    #[test]
    fn only_what_the_server_failed_at_may_be_the_brokers_doing() {
        assert_eq!(
            own_failure(&rejected(50000)).as_deref(),
            Some("cannot list the topics")
        );
        assert_eq!(own_failure(&rejected(40001)), None);
        assert_eq!(
            own_failure(&KsqlCommandError::QueryEnded { message: None }.into()),
            None
        );
    }
}
