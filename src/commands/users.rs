//! `osqdemo users`: who may come in over the broker's listener for other machines.

mod password;

use serde_json::json;

use crate::cli::{AddUserArgs, RemoveUserArgs, UsersArgs, UsersCommand};
use crate::commands::Context;
use crate::commands::endpoints;
use crate::commands::project::Project;
use crate::error::{Diagnose, Result};
use crate::events::{Note, SCHEMA_VERSION};
use crate::exit_code::ExitCode;
use crate::kafka::{forget_scram_user, put_scram_user, scram_users};
use crate::listener::{ListenerFolder, Users, is_user_name};
use crate::stack::KafkaAddress;

/// Why there is nothing to do with users.
#[derive(Debug, thiserror::Error)]
enum UsersError {
    /// It is not the project's.
    #[error("the users of the Kafka at {kafka} are not this project's")]
    OutsideKafka { kafka: KafkaAddress },
    /// Nobody can be called so.
    #[error("`{name}` is no name for a user: letters, digits, `.`, `_`, `@` and `-` are, up to 200 of them")]
    Name { name: String },
    /// There is none.
    #[error("there is no user `{name}`")]
    Unknown { name: String, known: Vec<String> },
}

impl Diagnose for UsersError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::OutsideKafka { .. } => vec!["make them with that Kafka's own tools".to_owned()],
            Self::Name { .. } => Vec::new(),
            Self::Unknown { name, known } => crate::near_names::hint("users", name, known),
        }
    }
}

/// Fails when the broker does not run, or refuses.
pub(super) async fn run(context: Context, arguments: UsersArgs) -> Result<()> {
    let project = Project::open(&context)?;
    if let Some(kafka) = project.stack.kafka.clone() {
        return Err(UsersError::OutsideKafka { kafka }.into());
    }
    let observed = project.engine.observe().await?;
    let broker = endpoints::cluster(&project, &observed)?.bootstrap_servers;
    let folder = ListenerFolder::of(&project.folder);
    match arguments.command.unwrap_or(UsersCommand::List) {
        UsersCommand::List => list(&context, &broker).await,
        UsersCommand::Add(arguments) => add(&context, &broker, &folder, arguments).await,
        UsersCommand::Remove(arguments) => remove(&context, &broker, &folder, arguments).await,
    }
}

async fn list(context: &Context, broker: &str) -> Result<()> {
    let users = scram_users(broker).await?;
    let document = json!({ "schema_version": SCHEMA_VERSION, "users": users });
    context.reporter.data(&document, || users.join("\n"))?;
    if users.is_empty() {
        context.reporter.emit(Note::NoUsers);
    }
    Ok(())
}

async fn add(context: &Context, broker: &str, folder: &ListenerFolder, arguments: AddUserArgs) -> Result<()> {
    let AddUserArgs { name, password_file } = arguments;
    if !is_user_name(&name) {
        return Err(UsersError::Name { name }.into());
    }
    let password = password::of(&name, password_file.as_deref(), &context.shutdown).await?;
    put_scram_user(broker, &name, &password).await?;
    let mut users = Users::read(folder)?;
    users.add(&name);
    users.write(folder)?;
    context.reporter.emit(Note::UserAdded { name: name.clone() });
    let document = json!({ "schema_version": SCHEMA_VERSION, "added": name });
    context.reporter.data(&document, String::new)
}

async fn remove(
    context: &Context,
    broker: &str,
    folder: &ListenerFolder,
    arguments: RemoveUserArgs,
) -> Result<()> {
    let RemoveUserArgs { name } = arguments;
    let was_there = forget_scram_user(broker, &name).await?;
    let mut users = Users::read(folder)?;
    let was_known = users.remove(&name);
    users.write(folder)?;
    if !was_there && !was_known {
        let known = scram_users(broker).await?;
        return Err(UsersError::Unknown { name, known }.into());
    }
    context.reporter.emit(Note::UserRemoved { name: name.clone() });
    let document = json!({ "schema_version": SCHEMA_VERSION, "removed": name });
    context.reporter.data(&document, String::new)
}
