//! Client properties that go elsewhere, as into a container: the files that they name are read, and go along.

use std::path::{Path, PathBuf};

use super::{ClientProperties, ClientPropertiesError};
use crate::input_file;
use crate::stack::HttpService;

/// The file of the properties themselves, in the folder that they are put into.
pub const FILE: &str = "client.properties";

/// What a name ends with whose value is a path.
const PATH_SUFFIX: &str = ".location";

/// Client properties with what is in the files that they name.
#[derive(Debug, Clone)]
pub struct Portable {
    client: ClientProperties,
    /// Where each of them is here, and what is in it.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Portable {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read(client: &ClientProperties) -> Result<Self, ClientPropertiesError> {
        let of_kafka = client.kafka.0.iter().filter(|(name, _)| is_path(name));
        let of_kafka = of_kafka.map(|(_, value)| PathBuf::from(value));
        let services = [&client.registry, &client.ksqldb].into_iter().flatten();
        let of_services = services.filter_map(|service| service.certificates.clone());
        let mut paths: Vec<PathBuf> = of_kafka.chain(of_services).collect();
        paths.sort();
        paths.dedup();
        let files = paths.into_iter().map(|path| {
            let read = input_file::read(&path);
            match read {
                Ok(bytes) => Ok((path, bytes)),
                Err(source) => Err(ClientPropertiesError::Named { path, source }),
            }
        });
        Ok(Self {
            files: files.collect::<Result<_, _>>()?,
            client: client.clone(),
        })
    }

    /// The same, with every file in that folder.
    pub fn within(&self, folder: &str) -> ClientProperties {
        let place = |path: &Path| {
            let at = self.files.iter().position(|(file, _)| file == path);
            at.map(|at| format!("{folder}/{}", name(at)))
        };
        let mut client = self.client.clone();
        for (name, value) in &mut client.kafka.0 {
            if let Some(moved) = place(Path::new(value.as_str())).filter(|_| is_path(name)) {
                *value = moved;
            }
        }
        let move_certificates = |service: &mut HttpService| {
            let moved = service.certificates.as_deref().and_then(place);
            service.certificates = moved.map(PathBuf::from);
        };
        client.registry.iter_mut().for_each(move_certificates);
        client.ksqldb.iter_mut().for_each(move_certificates);
        client
    }

    /// The names of the files in a folder that is theirs, and what is in them.
    pub fn files(&self) -> impl Iterator<Item = (String, &[u8])> {
        let files = self.files.iter().enumerate();
        files.map(|(at, (_, bytes))| (name(at), bytes.as_slice()))
    }
}

fn is_path(name: &str) -> bool {
    name.ends_with(PATH_SUFFIX)
}

/// What a file is called there: what it is called here may be no name for everybody.
fn name(at: usize) -> String {
    format!("file-{at}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::client_properties::ClientFile;

    #[test]
    fn files_go_along_and_everything_else_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["ca.pem", "client.key"] {
            fs::write(folder.path().join(name), name).expect("a file");
        }
        let text = "security.protocol=SSL\nssl.ca.location=ca.pem\nssl.key.location=client.key\n\
                    ssl.key.password=secret\nschema.registry.url=https://r\nschema.registry.ssl.ca.location=ca.pem\n";
        let read = |text: &str| {
            let file = ClientFile::parse(&folder.path().join("client.properties"), text).expect("a file");
            file.resolve(|_| None).expect("its values")
        };
        let portable = Portable::read(&read(text)).expect("the files are there");
        let there = portable.within("/etc/there");
        let files: Vec<(String, &[u8])> = portable.files().collect();
        assert_eq!(
            files,
            [
                ("file-0".to_owned(), b"ca.pem".as_slice()),
                ("file-1".to_owned(), b"client.key"),
            ]
        );
        assert_eq!(
            there.to_text(),
            "security.protocol=SSL\nssl.ca.location=/etc/there/file-0\nssl.key.location=/etc/there/file-1\n\
             ssl.key.password=secret\nschema.registry.url=https://r\nschema.registry.ssl.ca.location=/etc/there/file-0\n"
        );
        let missing = Portable::read(&read("ssl.ca.location=nowhere.pem\n")).expect_err("it is not there");
        assert!(missing.to_string().contains("nowhere.pem"), "{missing}");
        assert!(!format!("{portable:?}").contains("secret"));
    }
}
