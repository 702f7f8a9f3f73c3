//! The paths of the API, and what each verb does there.

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::{Answer, App, Asked, compatibility, contexts, schemas, settings, subjects};
use crate::refusal::Refusal;
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// A path, with the context that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    context: String,
    place: Place,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Root,
    Subjects,
    Subject(String),
    Versions(String),
    Version(String, String),
    VersionText(String, String),
    ReferencedBy(String, String),
    Metadata(String),
    Schemas,
    SchemaTypes,
    SchemaId(String),
    SchemaIdText(String),
    SchemaIdSubjects(String),
    SchemaIdVersions(String),
    Guid(String),
    GuidIds(String),
    Config(Option<String>),
    Mode(Option<String>),
    Compatibility(String, Option<String>),
    Contexts,
    ServerId,
    ServerVersion,
}

/// A verb at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Action {
    route: Route,
    verb: Verb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Route {
    /// The place of a path that is not decoded yet.
    pub(super) fn parse(path: &str) -> Result<Self, Refusal> {
        let steps: Vec<String> = path
            .split('/')
            .filter(|step| !step.is_empty())
            .map(|step| percent_decode_str(step).decode_utf8_lossy().into_owned())
            .collect();
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let unknown = || Refusal::bare(404, "HTTP 404 Not Found");
        let (context, steps) = match steps.as_slice() {
            ["contexts", context, rest @ ..] if !rest.is_empty() => {
                if context.contains(':') {
                    return Err(Refusal::bare(400, "Context name cannot contain a colon"));
                }
                let dotted = if context.starts_with('.') {
                    (*context).to_owned()
                } else {
                    format!(".{context}")
                };
                (dotted, rest)
            }
            steps => (DEFAULT_CONTEXT.to_owned(), steps),
        };
        let place = Place::of(steps).ok_or_else(unknown)?;
        Ok(Self { context, place })
    }

    /// What the verb does here; nothing where it does nothing.
    pub(super) fn action(self, method: &Method) -> Option<Action> {
        let verb = match method.as_str() {
            "GET" | "HEAD" => Verb::Get,
            "POST" => Verb::Post,
            "PUT" => Verb::Put,
            "DELETE" => Verb::Delete,
            _ => return None,
        };
        let is_known = match &self.place {
            Place::Subject(_) => matches!(verb, Verb::Post | Verb::Delete),
            Place::Versions(_) => matches!(verb, Verb::Get | Verb::Post),
            Place::Version(..) => matches!(verb, Verb::Get | Verb::Delete),
            Place::Config(_) | Place::Mode(_) => verb != Verb::Post,
            Place::Compatibility(..) => verb == Verb::Post,
            _ => verb == Verb::Get,
        };
        is_known.then_some(Action { route: self, verb })
    }
}

impl Place {
    fn of(steps: &[&str]) -> Option<Self> {
        let own = |step: &&str| (*step).to_owned();
        Some(match steps {
            [] => Self::Root,
            ["subjects"] => Self::Subjects,
            ["subjects", subject] => Self::Subject(own(subject)),
            ["subjects", subject, "versions"] => Self::Versions(own(subject)),
            ["subjects", subject, "metadata"] => Self::Metadata(own(subject)),
            ["subjects", subject, "versions", version] => Self::Version(own(subject), own(version)),
            ["subjects", subject, "versions", version, "schema"] => {
                Self::VersionText(own(subject), own(version))
            }
            ["subjects", subject, "versions", version, "referencedby"] => {
                Self::ReferencedBy(own(subject), own(version))
            }
            ["schemas"] => Self::Schemas,
            ["schemas", "types"] => Self::SchemaTypes,
            ["schemas", "ids", id] => Self::SchemaId(own(id)),
            ["schemas", "ids", id, "schema"] => Self::SchemaIdText(own(id)),
            ["schemas", "ids", id, "subjects"] => Self::SchemaIdSubjects(own(id)),
            ["schemas", "ids", id, "versions"] => Self::SchemaIdVersions(own(id)),
            ["schemas", "guids", guid] => Self::Guid(own(guid)),
            ["schemas", "guids", guid, "ids"] => Self::GuidIds(own(guid)),
            ["config"] => Self::Config(None),
            ["config", subject] => Self::Config(Some(own(subject))),
            ["mode"] => Self::Mode(None),
            ["mode", subject] => Self::Mode(Some(own(subject))),
            ["compatibility", "subjects", subject, "versions"] => Self::Compatibility(own(subject), None),
            ["compatibility", "subjects", subject, "versions", version] => {
                Self::Compatibility(own(subject), Some(own(version)))
            }
            ["contexts"] => Self::Contexts,
            ["v1", "metadata", "id"] => Self::ServerId,
            ["v1", "metadata", "version"] => Self::ServerVersion,
            _ => return None,
        })
    }
}

/// Carries out what was asked.
pub(super) async fn carry_out(app: &App, action: Action, asked: &Asked) -> Result<Answer, Refusal> {
    let Action {
        route: Route { context, place },
        verb,
    } = action;
    let registry = &app.registry;
    let within = |subject: &str| Subject::within(subject, &context);
    // The settings of a context are those of its empty subject.
    let scope = |subject: Option<String>| match subject {
        Some(subject) => Some(within(&subject)),
        None if context == DEFAULT_CONTEXT => None,
        None => Some(within("")),
    };
    match (place, verb) {
        (Place::Root, _) => Ok(serde_json::json!({}).into()),
        (Place::Subjects, _) => subjects::list(registry, &context, asked),
        (Place::Subject(subject), Verb::Post) => subjects::lookup(registry, &within(&subject), asked),
        (Place::Subject(subject), _) => subjects::delete(registry, within(&subject), asked).await,
        (Place::Versions(subject), Verb::Post) => subjects::register(registry, within(&subject), asked).await,
        (Place::Versions(subject), _) => subjects::versions(registry, &within(&subject), asked),
        (Place::Version(subject, version), Verb::Delete) => {
            subjects::delete_version(registry, within(&subject), &version, asked).await
        }
        (Place::Version(subject, version), _) => {
            subjects::version(registry, &within(&subject), &version, asked)
        }
        (Place::VersionText(subject, version), _) => {
            subjects::version_text(registry, &within(&subject), &version, asked)
        }
        (Place::ReferencedBy(subject, version), _) => {
            subjects::referenced_by(registry, &within(&subject), &version, asked)
        }
        (Place::Metadata(subject), _) => subjects::with_metadata(registry, &within(&subject), asked),
        (Place::Schemas, _) => schemas::list(registry, &context, asked),
        (Place::SchemaTypes, _) => Ok(schemas::types()),
        (Place::SchemaId(id), _) => schemas::by_id(registry, &context, &id, asked),
        (Place::SchemaIdText(id), _) => schemas::text(registry, &context, &id, asked),
        (Place::SchemaIdSubjects(id), _) => schemas::subjects(registry, &context, &id, asked),
        (Place::SchemaIdVersions(id), _) => schemas::versions(registry, &context, &id, asked),
        (Place::Guid(guid), _) => schemas::by_guid(registry, &guid, asked),
        (Place::GuidIds(guid), _) => schemas::ids_of_guid(registry, &guid),
        (Place::Config(subject), Verb::Put) => settings::put(registry, scope(subject), asked).await,
        (Place::Config(subject), Verb::Delete) => settings::delete(registry, scope(subject)).await,
        (Place::Config(subject), _) => settings::get(registry, scope(subject), asked),
        (Place::Mode(subject), Verb::Put) => settings::put_mode(registry, scope(subject), asked).await,
        (Place::Mode(subject), Verb::Delete) => settings::delete_mode(registry, scope(subject)).await,
        (Place::Mode(subject), _) => settings::mode(registry, scope(subject), asked),
        (Place::Compatibility(subject, version), _) => {
            compatibility::check(registry, &within(&subject), version.as_deref(), asked)
        }
        (Place::Contexts, _) => contexts::list(registry, asked),
        (Place::ServerId, _) => contexts::server_id(registry).await,
        (Place::ServerVersion, _) => Ok(contexts::server_version()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_may_hold_anything() {
        let place = |path: &str| Route::parse(path).unwrap().place;
        assert_eq!(
            place("/subjects/a%2Fb%20c/versions"),
            Place::Versions("a/b c".to_owned())
        );
        assert_eq!(
            place("/subjects/%3A.lab%3Ax"),
            Place::Subject(":.lab:x".to_owned())
        );
        assert_eq!(
            place("/subjects//versions"),
            Place::Subject("versions".to_owned())
        );
        assert_eq!(place("/subjects/"), Place::Subjects);
        assert_eq!(
            place("/subjects/a%25/versions/1"),
            Place::Version("a%".to_owned(), "1".to_owned())
        );
    }

    #[test]
    fn contexts_stand_before_everything() {
        let context = |path: &str| Route::parse(path).map(|route| route.context);
        assert_eq!(context("/contexts/lab/subjects").as_deref(), Ok(".lab"));
        assert_eq!(context("/contexts/.lab/config").as_deref(), Ok(".lab"));
        assert_eq!(context("/contexts").as_deref(), Ok("."));
        assert_eq!(context("/contexts/a:b/subjects").unwrap_err().status, 400);
        assert_eq!(context("/contexts/lab").unwrap_err().status, 404);
    }

    #[test]
    fn verbs_that_do_nothing_are_told() {
        let action = |method: Method, path: &str| Route::parse(path).unwrap().action(&method).is_some();
        assert!(action(Method::GET, "/subjects") && !action(Method::POST, "/subjects"));
        assert!(action(Method::PUT, "/config/x") && !action(Method::POST, "/config/x"));
        assert!(!action(Method::PATCH, "/subjects") && !action(Method::GET, "/subjects/x"));
    }
}
