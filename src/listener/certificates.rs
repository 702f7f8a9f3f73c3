//! A private authority, and the broker's certificate that it signs. The authority is made once and stays, so that machines
//! that know it need nothing new when the certificate is made anew.

use std::fs;
use std::io;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use super::{ListenerError, ListenerFolder};
use crate::state::{StateError, private_folder, write_durably};

/// What browsers and other clients take of a certificate at most.
const DAYS: i64 = 825;

/// How long the authority holds.
const YEARS_OF_AUTHORITY: i64 = 10;

/// From when on they hold.
#[derive(Debug, Clone, Copy)]
pub struct Validity(Date);

impl Validity {
    /// From the day before, wherever that is: clocks differ.
    pub fn from_today() -> Self {
        let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
        Self(today.checked_sub(1.day()).unwrap_or(today))
    }

    fn until(self, span: jiff::Span) -> Date {
        self.0.checked_add(span).unwrap_or(Date::MAX)
    }
}

/// The certificates of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// The names that the broker's is for.
    pub names: Vec<String>,
    /// The last day on which that holds.
    pub until: String,
}

impl Certificates {
    /// The names that the broker's certificate is for; none where there is none.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn names(folder: &ListenerFolder) -> Result<Option<Vec<String>>, StateError> {
        let path = folder.names();
        let all = [folder.certificate(), folder.key(), folder.authority()];
        if !all.iter().all(|file| file.exists()) {
            return Ok(None);
        }
        match fs::read(&path) {
            Ok(text) => {
                let read: Self =
                    serde_json::from_slice(&text).map_err(|source| StateError::Damaged { path, source })?;
                Ok(Some(read.names))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::io("read", &path, error)),
        }
    }

    /// Makes a certificate for the broker, for these names, and the authority where there is none.
    ///
    /// # Errors
    /// When a name cannot stand in one, or a file cannot be written.
    pub fn make(
        folder: &ListenerFolder,
        project: &str,
        names: &[String],
        validity: Validity,
    ) -> Result<Self, ListenerError> {
        let failed = |source| ListenerError::Certificate {
            names: names.join("`, `"),
            source,
        };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name = named(&format!("the broker of osqdemo's project {project}"));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let until = validity.until(DAYS.days());
        hold(&mut params, validity.0, until);
        private_folder(folder.root())?;
        let authority = authority(folder, project, validity)?;
        let certificate = params.signed_by(&key, &authority).map_err(failed)?;
        let made = Self {
            names: names.to_vec(),
            until: until.to_string(),
        };
        write_durably(&folder.key(), key.serialize_pem().as_bytes())?;
        write_durably(&folder.certificate(), certificate.pem().as_bytes())?;
        let path = folder.names();
        let text = serde_json::to_vec_pretty(&made).map_err(|source| StateError::Damaged {
            path: path.clone(),
            source,
        })?;
        write_durably(&path, &text)?;
        Ok(made)
    }
}

/// Who signs: as it was made once, else made now.
fn authority(
    folder: &ListenerFolder,
    project: &str,
    validity: Validity,
) -> Result<Issuer<'static, KeyPair>, ListenerError> {
    let failed = |source| ListenerError::Certificate {
        names: "the authority".to_owned(),
        source,
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("the authority of osqdemo's project {project}"));
    // It signs brokers, and no other authority.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let years = validity.until(YEARS_OF_AUTHORITY.years());
    hold(&mut params, validity.0, years);
    let (certificate, key) = (folder.authority(), folder.authority_key());
    let key = match read_key(&key)? {
        Some(text) if certificate.exists() => KeyPair::from_pem(&text).map_err(failed)?,
        _ => {
            let made = KeyPair::generate().map_err(failed)?;
            write_durably(&key, made.serialize_pem().as_bytes())?;
            let signed = params.self_signed(&made).map_err(failed)?;
            write_durably(&certificate, signed.pem().as_bytes())?;
            made
        }
    };
    // Its name and its key are what a signature of it shows.
    Ok(Issuer::new(params, key))
}

fn read_key(path: &Path) -> Result<Option<String>, StateError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::io("read", path, error)),
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Sets from which day until which one a certificate holds.
fn hold(params: &mut CertificateParams, from: Date, until: Date) {
    let part = |part: i8| u8::try_from(part).unwrap_or(1);
    let moment = |day: Date| date_time_ymd(day.year().into(), part(day.month()), part(day.day()));
    (params.not_before, params.not_after) = (moment(from), moment(until));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::stack::project::ProjectName;
    use crate::state::ProjectFolder;

    #[test]
    fn the_authority_stays_and_what_is_secret_is_for_its_owner_alone() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = ListenerFolder::of(&ProjectFolder::new(home.path(), &ProjectName::default()));
        assert_eq!(Certificates::names(&folder).expect("it is read"), None);
        let names = ["kafka.example".to_owned(), "10.0.0.5".to_owned()];
        let make =
            || Certificates::make(&folder, "osqdemo", &names, Validity::from_today()).expect("certificates");
        let made = make();
        assert_eq!(
            Certificates::names(&folder).expect("it is read"),
            Some(names.to_vec())
        );
        assert!(made.until > Validity::from_today().0.to_string(), "{made:?}");
        let read = |path: std::path::PathBuf| fs::read_to_string(path).expect("a file");
        let (authority, certificate) = (read(folder.authority()), read(folder.certificate()));
        make();
        assert_eq!(read(folder.authority()), authority);
        assert_ne!(read(folder.certificate()), certificate);
        for file in [folder.key(), folder.authority_key()] {
            let mode = fs::metadata(&file).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        }
        let wrong = Certificates::make(&folder, "osqdemo", &["ä b".to_owned()], Validity::from_today());
        assert!(
            matches!(wrong, Err(ListenerError::Certificate { .. })),
            "{wrong:?}"
        );
        assert_eq!(
            Certificates::names(&folder).expect("it is read"),
            Some(names.to_vec()),
            "the former stays"
        );
    }
}
