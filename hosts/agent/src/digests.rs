//! Digests of files.

use std::io::Read as _;
use std::path::Path;

use osquery_configuration::regular_file;
use sha2::Digest as _;

const BLOCK: usize = 64 * 1024;

/// MD5, SHA-1 and SHA-256, each as far as it was wanted.
pub(crate) type Digests = [Option<String>; 3];

/// MD5, SHA-1 and SHA-256 of a file in one pass, each only when wanted; `None` when the file cannot be read, or is larger
/// than osquery reads one (`--read_max`): whoever may make files could have the agent read for hours.
pub(crate) fn digests(path: &Path, wanted: [bool; 3]) -> Option<Digests> {
    let [md5, sha1, sha256] = wanted;
    let mut md5 = md5.then(md5::Md5::new);
    let mut sha1 = sha1.then(sha1::Sha1::new);
    let mut sha256 = sha256.then(sha2::Sha256::new);
    if wanted.contains(&true) {
        let mut file = regular_file::open(path).ok()?;
        if file.metadata().ok()?.len() > regular_file::LARGEST {
            return None;
        }
        let mut block = vec![0; BLOCK];
        let mut read = 0;
        loop {
            let length = file.read(&mut block).ok()?;
            if length == 0 {
                break;
            }
            // It may grow, or be one of those that say that they are empty.
            read += length as u64;
            if read > regular_file::LARGEST {
                return None;
            }
            let bytes = &block[..length];
            if let Some(digest) = &mut md5 {
                digest.update(bytes);
            }
            if let Some(digest) = &mut sha1 {
                digest.update(bytes);
            }
            if let Some(digest) = &mut sha256 {
                digest.update(bytes);
            }
        }
    }
    Some([
        md5.map(|digest| hexadecimal(&digest.finalize())),
        sha1.map(|digest| hexadecimal(&digest.finalize())),
        sha256.map(|digest| hexadecimal(&digest.finalize())),
    ])
}

/// MD5 of bytes.
pub(crate) fn md5(bytes: &[u8]) -> String {
    hexadecimal(&md5::Md5::digest(bytes))
}

/// SHA-1 of bytes.
pub(crate) fn sha1(bytes: &[u8]) -> String {
    hexadecimal(&sha1::Sha1::digest(bytes))
}

/// SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&sha2::Sha256::digest(bytes))
}

/// A digest as osquery writes it: lower-case hexadecimal.
pub(crate) fn hexadecimal(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest
        .iter()
        .fold(String::with_capacity(digest.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
