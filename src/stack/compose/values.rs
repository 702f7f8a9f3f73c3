//! The values of a stack file, each with what it refuses.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, Visitor};

use crate::quantity::{parse_duration, parse_size};
use crate::stack::{PublishedPort, Role, Template, VolumeMount};

/// A folder in memory, without options.
pub(super) struct TemporaryFolder(pub(super) String);

impl<'de> Deserialize<'de> for TemporaryFolder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('/') && !text.contains(':') {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format!("`{text}` is not of the form `/PATH`")))
        }
    }
}

/// `["127.0.0.1:PUBLISHED:TARGET"]`, where the published port may be `${VARIABLE:-PORT}`. More than loopback is not
/// published from a file.
pub(super) struct OnePort {
    pub(super) port: PublishedPort,
    pub(super) variable: Option<String>,
}

impl<'de> Deserialize<'de> for OnePort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let [text] = <[String; 1]>::deserialize(deserializer)?;
        let wrong = || {
            D::Error::custom(format!(
                "`{text}` is not of the form `127.0.0.1:PUBLISHED:TARGET`, where PUBLISHED may be `${{VARIABLE:-PORT}}`"
            ))
        };
        let (published, target) = text
            .strip_prefix("127.0.0.1:")
            .and_then(|ports| ports.rsplit_once(':'))
            .ok_or_else(wrong)?;
        let port = |text: &str| {
            text.parse::<u16>()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(wrong)
        };
        let template = Template::parse(published).map_err(|_| wrong())?;
        Ok(Self {
            port: PublishedPort {
                published: port(&template.fill(&|_| None))?,
                target: port(target)?,
            },
            variable: template.as_variable().map(str::to_owned),
        })
    }
}

/// `NAME:/PATH`: a named volume. Folders of this machine are not mounted from a file.
pub(super) struct Mount(pub(super) VolumeMount);

impl<'de> Deserialize<'de> for Mount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (name, target) = text
            .split_once(':')
            .filter(|(name, target)| is_volume_name(name) && target.starts_with('/') && !target.contains(':'))
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not of the form `VOLUME:/PATH`")))?;
        Ok(Self(VolumeMount {
            volume: name.to_owned(),
            target: target.to_owned(),
        }))
    }
}

fn is_volume_name(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// The value of an environment variable: a text, or a number as it is written.
pub(super) struct Scalar(pub(super) Template);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;

        impl Visitor<'_> for Value {
            type Value = Scalar;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text or a whole number (quote `true`, `false` and fractions)")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Template::parse(text).map(Scalar).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Value)
    }
}

/// The role that a file gives a service. Files of before version 0.2 say `service`, and the probe tells which.
pub(super) fn given_role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Role>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "service" => Ok(None),
        name => Role::deserialize(name.into_deserializer()).map(Some),
    }
}

/// The number of a user, which Compose wants as a text; root's unless another one is given.
#[derive(Default)]
pub(super) struct UserId(pub(super) u32);

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |_| D::Error::custom(format!("`{text}` is not the number of a user, in quotes"));
        text.parse().map(Self).map_err(wrong)
    }
}

/// The permissions of a file in octal digits, such as `0644`.
pub(super) struct FileMode(pub(super) u32);

impl Default for FileMode {
    /// Compose's: all may read it.
    fn default() -> Self {
        Self(0o444)
    }
}

impl<'de> Deserialize<'de> for FileMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // With a leading zero it is a text here, and octal for Compose.
        let text = String::deserialize(deserializer)?;
        let mode = u32::from_str_radix(&text, 8).ok();
        mode.filter(|mode| text.starts_with('0') && *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not of the form `0644`")))
    }
}

pub(super) struct DurationText(pub(super) Duration);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(D::Error::custom)
    }
}

pub(super) struct SizeText(pub(super) u64);

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_size(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A size, perhaps with a variable; with the variables' defaults it must be one.
pub(super) struct SizeTemplate(pub(super) Template);

impl<'de> Deserialize<'de> for SizeTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let template = Template::deserialize(deserializer)?;
        parse_size(&template.fill(&|_| None)).map_err(D::Error::custom)?;
        Ok(Self(template))
    }
}

/// A mapping whose order counts, without duplicates.
pub(super) struct InOrder<K, V>(pub(super) Vec<(K, V)>);

impl<K, V> Default for InOrder<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, K: Deserialize<'de> + PartialEq + fmt::Display, V: Deserialize<'de>> Deserialize<'de>
    for InOrder<K, V>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de> + PartialEq + fmt::Display, V: Deserialize<'de>> Visitor<'de>
            for Entries<K, V>
        {
            type Value = InOrder<K, V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries: Vec<(K, V)> = Vec::new();
                while let Some(key) = map.next_key::<K>()? {
                    if entries.iter().any(|(seen, _)| *seen == key) {
                        return Err(A::Error::custom(format!("duplicate entry `{key}`")));
                    }
                    entries.push((key, map.next_value()?));
                }
                Ok(InOrder(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}
