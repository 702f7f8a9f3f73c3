//! `--check --connect`, its part about the Schema Registry: whether it answers, and would take the schemas. Nothing is
//! registered.

use super::registrar::{client, of_topic, schemas_of};
use crate::configuration::Configuration;
use crate::connection_check::ConnectionReport;

/// Tries the registry, where the configuration needs one.
pub(crate) fn try_registry(configuration: &Configuration, report: &mut ConnectionReport) {
    let formats = &configuration.formats;
    // What cannot be used has ended the check before.
    let (Ok(Some(client)), Some(registry)) = (client(formats), &formats.registry) else {
        return;
    };
    let what = format!("the Schema Registry `{}`", registry.settings.urls.join(","));
    match client.subjects() {
        Ok(subjects) => report.good(format!("{what}; {} subjects", subjects.len())),
        Err(error) => {
            let hint = "is it up, is the address right, and are these the credentials and certificates that it wants?";
            return report.bad(what, error.to_string(), hint);
        }
    }
    for (topic, what) in schemas_of(formats, configuration.query_topics()) {
        let (subject, schema) = of_topic(&topic, &what, registry.names);
        let what = format!("the schema of `{subject}`");
        match client.incompatibilities(&subject, &schema) {
            Ok(reasons) if reasons.is_empty() => report.good(what),
            Ok(reasons) => report.bad(
                what,
                reasons.join("; "),
                "another schema has this subject; until it is gone, or of another level, the lines are dead letters",
            ),
            Err(error) => report.bad(what, error.to_string(), "does this login have rights on it?"),
        }
    }
}
