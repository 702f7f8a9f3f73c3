//! Lines become records of the format that the configuration asks for, on their way out of the spool: what is accepted, kept
//! on disk and kept as a dead letter is always the line itself.
//!
//! A schema is registered once, by `registrar`, which is asked and answers later; until it has, the lines of that topic wait
//! where all lines wait. What the registry refuses, it is asked again at most every minute; meanwhile the lines are dead
//! letters.
//!
//! This is where formats are known; the outbox must not know them, nor that there is a registry.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use osqdemo_avro::write_bytes;
use osqdemo_registry_client::wire::{KEY_HEADER, VALUE_HEADER, header_value, write_id};

use crate::line_facts::LineFacts;
use crate::outbox::DEAD_LETTER_TOPIC;
use crate::outbox::kafka::{Failure, Header, Kafka, LineId, Message, SendError};
use crate::spool::frame::Record;

mod envelope;
pub(crate) mod formats;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod json_schema;
mod line;
mod query_record;
pub(crate) mod registrar;
pub(crate) mod registry_check;
mod result_record;

#[cfg(test)]
mod tests;

use formats::{Format, Formats, IdPlace, KeyFormat, Mode, ValueFormat};
use line::Unencodable;
use registrar::{Answer, Ask, Question, Registered, Trouble, What, schemas_of};

/// How soon a registry is asked again that has refused a schema.
const REFUSED_PERIOD: Duration = Duration::from_secs(60);
/// The most schemas that are known at once: lines name their queries, and may name any.
const MOST_SCHEMAS: usize = 4_096;

/// Hands on to Kafka what was encoded.
#[derive(Debug)]
pub(crate) struct Encoding<K, R> {
    pub(crate) kafka: K,
    pub(crate) encoder: Option<Encoder<R>>,
}

/// Knows the formats and the schemas.
#[derive(Debug)]
pub(crate) struct Encoder<R> {
    formats: Formats,
    /// The topic of lines that are no results, and stay as they are.
    status_topic: Option<String>,
    /// Topics that lines will come for.
    expected: Vec<(String, What)>,
    registrar: R,
    topics: HashMap<String, TopicSchemas>,
    schemas: usize,
    /// The registry was away when it was asked last.
    is_away: bool,
    key: Vec<u8>,
    value: Vec<u8>,
    /// What names the schemas of the record, where nothing before its data does.
    headers: Vec<Header<'static>>,
}

/// What is known of a topic's schemas.
#[derive(Debug, Default)]
struct TopicSchemas {
    key: Slot,
    result: Slot,
    json_schema: Slot,
    queries: HashMap<String, Slot>,
}

/// What is known of a schema.
#[derive(Debug, Default)]
struct Slot {
    registered: Option<Arc<Registered>>,
    /// The registry is asked for it, or for one with more columns, and has not answered.
    is_asked: bool,
    /// What it refused last.
    refused: Option<Refused>,
}

/// A schema that the registry does not take.
#[derive(Debug)]
struct Refused {
    /// The columns that were to be new in it.
    wanted: Vec<String>,
    reason: String,
    until: Instant,
}

/// What becomes of a record.
enum Encoded {
    /// Nothing.
    AsItIs,
    /// Its value, its key, or both stand in the encoder.
    Here { key: bool, value: bool },
}

impl<K: Kafka, R: Ask> Kafka for Encoding<K, R> {
    fn send(&mut self, id: LineId, message: &Message<'_>) -> Result<(), SendError> {
        let Some(encoder) = &mut self.encoder else {
            return self.kafka.send(id, message);
        };
        let Encoded::Here { key, value } = encoder.encode(&message.record, Instant::now())? else {
            return self.kafka.send(id, message);
        };
        let record = Record {
            key: if key {
                Some(&encoder.key)
            } else {
                message.record.key
            },
            value: if value {
                &encoder.value
            } else {
                message.record.value
            },
            ..message.record
        };
        let mut headers = Cow::Borrowed(message.headers);
        if !encoder.headers.is_empty() {
            headers.to_mut().extend(std::mem::take(&mut encoder.headers));
        }
        let headers = &headers[..];
        self.kafka.send(id, &Message { record, headers })
    }
}

impl<R: Ask> Encoder<R> {
    /// `expected` are queries with the topics of their lines.
    pub(crate) fn new(
        formats: Formats,
        status_topic: Option<String>,
        expected: impl IntoIterator<Item = (String, String)>,
        registrar: R,
    ) -> Self {
        let mut expected = schemas_of(&formats, expected);
        expected.retain(|(_, what)| !matches!(what, What::Query(_)));
        expected.truncate(MOST_SCHEMAS / 4);
        let mut encoder = Self {
            formats,
            status_topic,
            expected,
            registrar,
            topics: HashMap::new(),
            schemas: 0,
            is_away: false,
            key: Vec::new(),
            value: Vec::new(),
            headers: Vec::new(),
        };
        encoder.ask_ahead(Instant::now());
        encoder
    }

    /// Asks for the schemas that will be needed, so that the first lines need not wait; until the registry has answered.
    pub(crate) fn ask_ahead(&mut self, now: Instant) {
        for (topic, what) in std::mem::take(&mut self.expected) {
            if self.slot(&topic, &what).registered.is_none() {
                // Whether it is there already decides who needs it.
                let _ = self.fixed(&topic, &what, now);
                self.expected.push((topic, what));
            }
        }
    }

    /// Takes what the registry has answered; whether lines that wait may go on.
    pub(crate) fn take_answers(&mut self, now: Instant) -> bool {
        let answers = self.registrar.answers();
        let some = !answers.is_empty();
        for answer in answers {
            self.take_answer(answer, now);
        }
        some && !self.is_away
    }

    fn take_answer(&mut self, answer: Answer, now: Instant) {
        let Answer {
            question: Question {
                topic, what, wanted, ..
            },
            outcome,
        } = answer;
        let was_away = self.is_away;
        self.is_away = matches!(outcome, Err(Trouble::Away(_)));
        let slot = self.slot(&topic, &what);
        slot.is_asked = false;
        match outcome {
            Ok(registered) => {
                if slot.refused.take().is_some() {
                    tracing::info!(topic, "the Schema Registry takes the schema now");
                }
                slot.registered = Some(registered);
            }
            Err(Trouble::Away(reason)) => {
                if !was_away {
                    tracing::warn!(topic, "lines wait for the Schema Registry: {reason}");
                }
            }
            Err(Trouble::Refused(reason)) => {
                let is_said = slot
                    .refused
                    .as_ref()
                    .is_some_and(|before| before.wanted == wanted);
                if !is_said {
                    tracing::error!(
                        topic,
                        "the schema is refused, and its lines are kept as dead letters; the registry is asked again every {} s: {reason}",
                        REFUSED_PERIOD.as_secs()
                    );
                }
                slot.refused = Some(Refused {
                    wanted,
                    reason,
                    until: now + REFUSED_PERIOD,
                });
            }
        }
        if was_away && !self.is_away {
            tracing::info!("the Schema Registry answers again");
        }
    }

    /// Encodes a record.
    fn encode(&mut self, record: &Record<'_>, now: Instant) -> Result<Encoded, SendError> {
        let topic = record.topic;
        if topic == DEAD_LETTER_TOPIC || self.status_topic.as_deref() == Some(topic) {
            return Ok(Encoded::AsItIs);
        }
        let query = match self.formats.needs_query() {
            true => LineFacts::of(record.value).query.unwrap_or_default(),
            false => Cow::default(),
        };
        let query = String::from_utf8_lossy(&query);
        let format = self.formats.of(&query);
        self.take_answers(now);
        self.key.clear();
        self.headers.clear();
        let has_key = match (format.key, record.key) {
            (KeyFormat::Avro, Some(key)) => {
                let registered = self.fixed(topic, &What::Key, now)?;
                match named(format.id, &registered) {
                    Named::Id(id) => write_id(id, &mut self.key),
                    Named::Guid(guid) => self.headers.push((KEY_HEADER, guid.to_vec().into())),
                }
                write_bytes(line::utf8(key.into()).as_bytes(), &mut self.key);
                true
            }
            _ => false,
        };
        self.value.clear();
        let has_value = self.encode_value(record, format, &query, now)?;
        Ok(Encoded::Here {
            key: has_key,
            value: has_value,
        })
    }

    fn encode_value(
        &mut self,
        record: &Record<'_>,
        format: Format,
        query: &str,
        now: Instant,
    ) -> Result<bool, SendError> {
        let write = match format.value {
            ValueFormat::Json => return Ok(false),
            ValueFormat::JsonSchema => json_schema::write,
            ValueFormat::Avro(Mode::Map) => result_record::write,
            ValueFormat::Avro(Mode::Record) => {
                self.encode_of_query(record, format.id, query, now)?;
                return Ok(true);
            }
        };
        let what = match format.value {
            ValueFormat::JsonSchema => What::JsonSchema,
            _ => What::Result,
        };
        let registered = self.fixed(record.topic, &what, now)?;
        self.name_value(format.id, &registered);
        write(record.value, &mut self.value).map_err(never)?;
        Ok(true)
    }

    /// Says which schema the value has.
    fn name_value(&mut self, place: IdPlace, registered: &Registered) {
        match named(place, registered) {
            Named::Id(id) => write_id(id, &mut self.value),
            Named::Guid(guid) => self.headers.push((VALUE_HEADER, guid.to_vec().into())),
        }
    }

    fn encode_of_query(
        &mut self,
        record: &Record<'_>,
        place: IdPlace,
        query: &str,
        now: Instant,
    ) -> Result<(), SendError> {
        let what = What::Query(query.to_owned());
        let registered = self.slot(record.topic, &what).registered.clone();
        let known = registered.clone().unwrap_or_default();
        self.name_value(place, &known);
        let missing = known.record.write(record.value, &mut self.value).map_err(never)?;
        match registered {
            Some(_) if missing.is_empty() => Ok(()),
            _ => Err(self.ask(record.topic, &what, missing, now)),
        }
    }

    /// A schema that never changes, if it is registered.
    fn fixed(&mut self, topic: &str, what: &What, now: Instant) -> Result<Arc<Registered>, SendError> {
        match &self.slot(topic, what).registered {
            Some(registered) => Ok(Arc::clone(registered)),
            None => Err(self.ask(topic, what, Vec::new(), now)),
        }
    }

    /// Asks the registry, unless it was asked, or has refused just now; what becomes of the line.
    fn ask(&mut self, topic: &str, what: &What, wanted: Vec<String>, now: Instant) -> SendError {
        let slot = self.slot(topic, what);
        if slot.is_asked {
            return SendError::NotYet;
        }
        let refused = slot.refused.as_ref().filter(|refused| refused.wanted == wanted);
        if let Some(refused) = refused.filter(|refused| now < refused.until) {
            return SendError::Unfit(refused.reason.clone());
        }
        slot.is_asked = true;
        let known = slot.registered.as_ref();
        let columns = known.map_or(Vec::new(), |known| known.record.columns().to_vec());
        self.registrar.ask(Question {
            topic: topic.to_owned(),
            what: what.clone(),
            columns,
            wanted,
        });
        SendError::NotYet
    }

    fn slot(&mut self, topic: &str, what: &What) -> &mut Slot {
        if self.schemas >= MOST_SCHEMAS {
            // They are registered, and whoever needs one learns its id again.
            self.topics.clear();
            self.schemas = 0;
        }
        self.schemas += usize::from(!self.topics.contains_key(topic));
        let topic = self.topics.entry(topic.to_owned()).or_default();
        match what {
            What::Key => &mut topic.key,
            What::Result => &mut topic.result,
            What::JsonSchema => &mut topic.json_schema,
            What::Query(query) => {
                self.schemas += usize::from(!topic.queries.contains_key(query));
                topic.queries.entry(query.clone()).or_default()
            }
        }
    }
}

/// What a record has of its schema.
enum Named {
    /// Before its data.
    Id(u32),
    /// In a header.
    Guid([u8; 17]),
}

fn named(place: IdPlace, registered: &Registered) -> Named {
    match (place, registered.guid) {
        (IdPlace::Header, Some(guid)) => Named::Guid(header_value(guid)),
        _ => Named::Id(registered.id),
    }
}

fn never(error: Unencodable) -> SendError {
    SendError::Failed(Failure::Final(error.to_string()))
}
