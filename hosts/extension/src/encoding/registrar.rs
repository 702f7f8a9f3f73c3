//! Asks the Schema Registry, in a thread of its own: nobody who brings a line waits for it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use osqdemo_registry_client::{Client, ClientError, Part, Schema, SchemaType, SubjectNames};

use super::formats::{Formats, KeyFormat, Mode, ValueFormat};
use super::query_record::{self, Column, QueryRecord};
use super::{Encoder, json_schema, result_record};
use crate::configuration::{Configuration, ConfigurationError};
use crate::courier::CourierError;

/// Which schema of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// That of keys.
    Key,
    /// The Avro record for the lines of all queries.
    Result,
    /// The JSON Schema for them.
    JsonSchema,
    /// The Avro record of this query.
    Query(String),
}

/// What is to be registered.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(super) topic: String,
    pub(super) what: What,
    /// Of a query's record: the columns that it has here.
    pub(super) columns: Vec<Column>,
    /// And those that it is to have as well.
    pub(super) wanted: Vec<String>,
}

/// A schema that is registered.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Registered {
    pub(super) id: u32,
    /// Where records name it by that.
    pub(super) guid: Option<[u8; 16]>,
    /// Of a query.
    pub(super) record: QueryRecord,
}

/// Why one is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It may be later.
    Away(String),
    /// The registry does not take this schema.
    Refused(String),
}

/// What became of a question.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(super) question: Question,
    pub(super) outcome: Result<Arc<Registered>, Trouble>,
}

/// Whoever can register schemas.
pub(crate) trait Ask {
    /// Answers later.
    fn ask(&mut self, question: Question);

    /// What was answered since the last time.
    fn answers(&mut self) -> Vec<Answer>;
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Registrar {
    questions: Sender<Question>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    answers: Mutex<Vec<Answer>>,
    /// Looked at for every line.
    some: AtomicBool,
}

impl Registrar {
    /// Starts the thread. It ends when this is dropped and its last request has ended; nobody waits for that.
    pub(super) fn start(client: Client, names: SubjectNames, names_guids: bool) -> std::io::Result<Self> {
        let (questions, asked) = channel();
        let shared = Arc::<Shared>::default();
        let answers = Arc::clone(&shared);
        thread::Builder::new()
            .name("registry".to_owned())
            .spawn(move || {
                let register = |question: &Question| {
                    let mut registered = register(&client, names, question)?;
                    if names_guids {
                        registered.guid = Some(guid(&client, registered.id)?);
                    }
                    Ok(registered)
                };
                serve(register, &asked, &answers);
            })?;
        Ok(Self { questions, shared })
    }
}

impl Ask for Registrar {
    fn ask(&mut self, question: Question) {
        // The thread is there as long as this is.
        let _ = self.questions.send(question);
    }

    fn answers(&mut self) -> Vec<Answer> {
        if !self.shared.some.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        let mut answers = self.shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut answers)
    }
}

fn serve(
    register: impl Fn(&Question) -> Result<Registered, Trouble>,
    asked: &Receiver<Question>,
    shared: &Shared,
) {
    let answer = |question, outcome| {
        let mut answers = shared.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push(Answer { question, outcome });
        shared.some.store(true, Ordering::Release);
    };
    while let Ok(question) = asked.recv() {
        let outcome = register(&question);
        // Whoever is away is not asked once for each of those that wait meanwhile.
        let away = match &outcome {
            Err(trouble @ Trouble::Away(_)) => Some(trouble.clone()),
            _ => None,
        };
        answer(question, outcome.map(Arc::new));
        if let Some(away) = away {
            for question in asked.try_iter() {
                answer(question, Err(away.clone()));
            }
        }
    }
}

fn register(client: &Client, names: SubjectNames, question: &Question) -> Result<Registered, Trouble> {
    let (subject, schema) = of_topic(&question.topic, &question.what, names);
    let (schema, record) = match &question.what {
        What::Query(query) => {
            let known = match client.version(&subject, None) {
                Ok(version) => query_record::columns_of(&version.schema.schema),
                Err(error) if error.is_not_found() => Vec::new(),
                Err(error) => return Err(trouble(&error)),
            };
            let record = merged(query, known, question)?;
            (Schema::avro(&record.text), record)
        }
        What::Key | What::Result | What::JsonSchema => (schema, QueryRecord::default()),
    };
    let id = client
        .register(&subject, &schema, false)
        .map_err(|error| trouble(&error))?;
    Ok(Registered {
        id,
        guid: None,
        record,
    })
}

/// A registry that tells none may be replaced by one that does: until then lines wait.
fn guid(client: &Client, id: u32) -> Result<[u8; 16], Trouble> {
    let told = client.guid(id).map_err(|error| trouble(&error))?;
    told.ok_or_else(|| {
        Trouble::Away(
            "it tells no GUIDs, which `\"schema_id\": \"header\"` needs; hint: `prefix` needs none"
                .to_owned(),
        )
    })
}

/// The schemas that the lines of these queries, each with its topic, will need; each once.
pub(super) fn schemas_of(
    formats: &Formats,
    queries: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, What)> {
    let mut schemas = Vec::new();
    for (query, topic) in queries {
        let format = formats.of(&query);
        let what = match format.value {
            ValueFormat::Json => None,
            ValueFormat::JsonSchema => Some(What::JsonSchema),
            ValueFormat::Avro(Mode::Map) => Some(What::Result),
            ValueFormat::Avro(Mode::Record) => Some(What::Query(query)),
        };
        let key = (format.key == KeyFormat::Avro).then_some(What::Key);
        schemas.extend(key.into_iter().chain(what).map(|what| (topic.clone(), what)));
    }
    let mut seen = HashSet::new();
    schemas.retain(|schema| seen.insert(schema.clone()));
    schemas
}

/// The subject, and the schema; of a query, one without columns.
pub(super) fn of_topic(topic: &str, what: &What, names: SubjectNames) -> (String, Schema) {
    let value = |name: &str| names.subject(topic, Part::Value, Some(name));
    match what {
        What::Key => (names.subject(topic, Part::Key, None), Schema::avro("\"string\"")),
        What::Result => (
            value(&result_record::full_name()),
            Schema::avro(result_record::schema()),
        ),
        What::JsonSchema => (
            value(json_schema::TITLE),
            Schema {
                schema: json_schema::TEXT.to_owned(),
                schema_type: SchemaType::Json,
                references: Vec::new(),
            },
        ),
        What::Query(query) => {
            let none = QueryRecord::new(query, Vec::new(), &[]).unwrap_or_default();
            (value(&query_record::full_name(query)), Schema::avro(none.text))
        }
    }
}

/// The columns that other hosts have registered come first, in their order: so all of them agree.
fn merged(query: &str, known: Vec<Column>, question: &Question) -> Result<QueryRecord, Trouble> {
    let own = question.columns.iter().map(Column::name);
    let wanted: Vec<String> = own.chain(question.wanted.iter().cloned()).collect();
    QueryRecord::new(query, known, &wanted).map_err(|error| Trouble::Refused(error.to_string()))
}

/// Only what the registry says of the schema is final. Whatever else keeps it from taking one, another login or another
/// address may help.
fn trouble(error: &ClientError) -> Trouble {
    match error {
        ClientError::Refused {
            status: 409 | 422, ..
        } => Trouble::Refused(error.to_string()),
        _ => Trouble::Away(error.to_string()),
    }
}

/// A client as the extension needs it: whoever tries again is the outbox. None where no registry is named.
///
/// # Errors
/// When what the configuration says of the registry cannot be used.
pub(crate) fn client(formats: &Formats) -> Result<Option<Client>, ConfigurationError> {
    let Some(registry) = &formats.registry else {
        return Ok(None);
    };
    let mut settings = registry.settings.clone();
    settings.retries = 0;
    let client = Client::new(settings).map_err(|error| ConfigurationError::Registry {
        reason: error.to_string(),
    })?;
    Ok(Some(client))
}

impl Encoder<Registrar> {
    /// Starts what the configuration needs; nothing where lines stay as they are.
    pub(crate) fn start(configuration: &Configuration) -> Result<Option<Self>, CourierError> {
        let formats = &configuration.formats;
        let client = client(formats)?;
        let (Some(client), Some(registry)) = (client, &formats.registry) else {
            return Ok(None);
        };
        if !formats.is_any() {
            return Ok(None);
        }
        let registrar = Registrar::start(client, registry.names, formats.names_guids())
            .map_err(|source| CourierError::Thread { source })?;
        Ok(Some(Self::new(
            formats.clone(),
            configuration.options.status_topic.clone(),
            configuration.query_topics(),
            registrar,
        )))
    }
}
