//! `certificates`: the authorities that this machine trusts, or the certificates in the files and folders that are named.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, DecodePem as _, Encode as _};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, KeyUsage, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::mount_namespace::MountNamespace;
use super::{Machine, table, text_file};
use crate::digests::{hexadecimal, sha1};
use crate::sql::{Operator, RowBuffer, Scan, TableError, columns};

columns! {
    COMMON_NAME "common_name" Text,
    SUBJECT "subject" Text,
    SUBJECT2 "subject2" Text,
    ISSUER "issuer" Text,
    ISSUER2 "issuer2" Text,
    CA "ca" Integer,
    SELF_SIGNED "self_signed" Integer,
    NOT_VALID_BEFORE "not_valid_before" Text,
    NOT_VALID_AFTER "not_valid_after" Text,
    SIGNING_ALGORITHM "signing_algorithm" Text,
    KEY_ALGORITHM "key_algorithm" Text,
    KEY_STRENGTH "key_strength" Text,
    KEY_USAGE "key_usage" Text,
    SUBJECT_KEY_ID "subject_key_id" Text ignore_case,
    AUTHORITY_KEY_ID "authority_key_id" Text ignore_case,
    SHA1 "sha1" Text ignore_case,
    PATH "path" Text additional,
    SERIAL "serial" Text ignore_case,
    _SID "sid" Text hidden,
    _STORE_LOCATION "store_location" Text hidden,
    _STORE "store" Text hidden,
    _USERNAME "username" Text hidden,
    _STORE_ID "store_id" Text hidden,
}

table! { Certificates "certificates" fill }

/// Where distributions keep what they trust, as one file; the first one that is there counts.
const TRUSTED: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
const COMMON: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// OpenSSL's short names of what names are made of.
const NAMES: [(&str, &str); 17] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];
/// OpenSSL's long names of algorithms and curves.
const ALGORITHMS: [(&str, &str); 17] = [
    ("1.2.840.113549.1.1.1", "rsaEncryption"),
    ("1.2.840.113549.1.1.4", "md5WithRSAEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.10", "rsassaPss"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.10040.4.1", "dsaEncryption"),
    ("1.2.840.10045.2.1", "id-ecPublicKey"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("1.2.840.10045.3.1.7", "prime256v1"),
    ("1.3.132.0.34", "secp384r1"),
    ("1.3.132.0.35", "secp521r1"),
    ("1.3.101.112", "ED25519"),
    ("1.3.101.113", "ED448"),
];
const RSA: &str = "rsaEncryption";
const ELLIPTIC: &str = "id-ecPublicKey";

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let namespace = MountNamespace::own(machine);
    let mut paths: Vec<PathBuf> = scan
        .values(PATH, Operator::Equals)
        .map(|path| namespace.path(&String::from_utf8_lossy(path)))
        .collect();
    if paths.is_empty() {
        let trusted = TRUSTED.map(|path| namespace.path(path));
        paths.extend(trusted.into_iter().find(|path| path.is_file()));
    }
    for path in paths {
        // Rows of a folder's files have the folder as their path: that is what was asked for.
        let files = if path.is_dir() {
            text_file::entries(&path)
        } else {
            vec![path.clone()]
        };
        for file in files {
            for certificate in certificates_of(&file) {
                fill_certificate(&certificate, rows);
                rows.text(PATH, namespace.inner(&path));
            }
        }
    }
    Ok(())
}

/// The certificates of a file, of which there may be many in PEM and one in DER; what is none is left out.
fn certificates_of(file: &Path) -> Vec<Certificate> {
    let Ok(content) = text_file::read(file) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&content);
    let mut certificates: Vec<Certificate> = text
        .split(BEGIN)
        .skip(1)
        .filter_map(|block| {
            let body = block.split(END).next()?;
            Certificate::from_pem(format!("{BEGIN}{body}{END}\n")).ok()
        })
        .collect();
    if certificates.is_empty() {
        certificates.extend(Certificate::from_der(&content));
    }
    certificates
}

fn fill_certificate(certificate: &Certificate, rows: &mut RowBuffer) {
    let inner = certificate.tbs_certificate();
    let (subject, issuer) = (inner.subject(), inner.issuer());
    let is_self_signed = subject == issuer;
    rows.start_row();
    if let Some(part) = subject.iter().find(|part| part.oid == COMMON) {
        rows.text(COMMON_NAME, part.value.value());
    }
    rows.text(SUBJECT, slashed(subject));
    rows.text(SUBJECT2, listed(subject));
    rows.text(ISSUER, slashed(issuer));
    rows.text(ISSUER2, listed(issuer));
    let usage = inner
        .get_extension::<KeyUsage>()
        .ok()
        .flatten()
        .map(|(_, usage)| usage);
    let constraints = inner.get_extension::<BasicConstraints>().ok().flatten();
    // Certificates of the first version have no extensions; then whoever signed himself is an authority.
    let is_authority = match constraints {
        Some((_, constraints)) => constraints.ca,
        None if inner.extensions().is_none() => is_self_signed,
        None => usage.as_ref().is_some_and(KeyUsage::key_cert_sign),
    };
    rows.integer(CA, i64::from(is_authority));
    rows.integer(SELF_SIGNED, i64::from(is_self_signed));
    let validity = inner.validity();
    for (column, time) in [
        (NOT_VALID_BEFORE, &validity.not_before),
        (NOT_VALID_AFTER, &validity.not_after),
    ] {
        let seconds = time.to_unix_duration().as_secs();
        rows.display(column, seconds);
    }
    rows.text(
        SIGNING_ALGORITHM,
        algorithm(&certificate.signature_algorithm().oid),
    );
    let key = inner.subject_public_key_info();
    rows.text(KEY_ALGORITHM, algorithm(&key.algorithm.oid));
    if let Some(strength) = strength(key) {
        rows.text(KEY_STRENGTH, strength);
    }
    if let Some(usage) = usage {
        rows.text(KEY_USAGE, usages(&usage));
    }
    if let Ok(Some((_, id))) = inner.get_extension::<SubjectKeyIdentifier>() {
        rows.text(SUBJECT_KEY_ID, hexadecimal(id.0.as_bytes()));
    }
    if let Ok(Some((_, id))) = inner.get_extension::<AuthorityKeyIdentifier>()
        && let Some(id) = id.key_identifier
    {
        rows.text(AUTHORITY_KEY_ID, hexadecimal(id.as_bytes()));
    }
    if let Ok(bytes) = certificate.to_der() {
        rows.text(SHA1, sha1(&bytes));
    }
    // A number that would be negative begins with a zero byte, which is no digit of it.
    let serial = inner.serial_number().as_bytes();
    let serial = serial.strip_prefix(&[0]).unwrap_or(serial);
    rows.text(SERIAL, hexadecimal(serial).to_uppercase());
}

/// `/C=DE/CN=x`, as OpenSSL's deprecated form has it.
fn slashed(name: &Name) -> String {
    let parts = name.iter().map(|part| {
        let value = escaped(part.value.value(), |byte| format!("\\x{byte:02X}"));
        format!("/{}={value}", short_name(&part.oid))
    });
    parts.collect()
}

/// `C = DE, CN = "x, y"`, as its form of one line has it.
fn listed(name: &Name) -> String {
    let parts = name.iter().map(|part| {
        let value = escaped(part.value.value(), |byte| format!("\\{byte:02X}"));
        let is_quoted = value.contains([',', '+', '<', '>', ';'])
            || value.starts_with(['#', ' '])
            || value.ends_with(' ');
        let quote = if is_quoted { "\"" } else { "" };
        format!("{} = {quote}{value}{quote}", short_name(&part.oid))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// Text with everything that is no character of ASCII written as numbers.
fn escaped(bytes: &[u8], escape: impl Fn(u8) -> String) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        if (b' '..=b'~').contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}", escape(byte));
        }
        text
    })
}

fn short_name(oid: &ObjectIdentifier) -> String {
    named(oid, &NAMES)
}

fn algorithm(oid: &ObjectIdentifier) -> String {
    named(oid, &ALGORITHMS)
}

/// The name of a number in a list, or the number.
fn named(oid: &ObjectIdentifier, names: &[(&str, &str)]) -> String {
    let number = oid.to_string();
    let known = names.iter().find(|(known, _)| *known == number);
    known.map_or(number, |(_, name)| (*name).to_owned())
}

/// The bits of an RSA key, or the curve of an elliptic one.
fn strength(key: &SubjectPublicKeyInfoOwned) -> Option<String> {
    match algorithm(&key.algorithm.oid).as_str() {
        RSA => {
            // A sequence of the modulus and the exponent, both integers.
            let bytes = key.subject_public_key.as_bytes()?;
            let sequence = Vec::<x509_cert::der::asn1::Int>::from_der(bytes).ok()?;
            let modulus = sequence.first()?.as_bytes();
            let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
            Some((modulus.len() * 8).to_string())
        }
        ELLIPTIC => {
            let curve = key.algorithm.parameters.as_ref()?;
            let curve: ObjectIdentifier = curve.decode_as().ok()?;
            Some(algorithm(&curve))
        }
        _ => None,
    }
}

/// In osquery's order.
fn usages(usage: &KeyUsage) -> String {
    let names = [
        (usage.encipher_only(), "Encipher Only"),
        (usage.crl_sign(), "CRL Sign"),
        (usage.key_cert_sign(), "Key Cert Sign"),
        (usage.key_agreement(), "Key Agreement"),
        (usage.data_encipherment(), "Data Encipherment"),
        (usage.key_encipherment(), "Key Encipherment"),
        (usage.non_repudiation(), "Non Repudiation"),
        (usage.digital_signature(), "Digital Signature"),
        (usage.decipher_only(), "Decipher Only"),
    ];
    let names = names.into_iter().filter(|(is_set, _)| *is_set);
    names.map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use crate::tables::fixture::TestDatabase;

    /// An authority of RSA, made for this test and valid until 2036.
    const ROOT: &str = "-----BEGIN CERTIFICATE-----\n\
MIIDSDCCAjCgAwIBAgIDChssMA0GCSqGSIb3DQEBCwUAMDQxCzAJBgNVBAYTAkRF\n\
MRIwEAYDVQQKDAlPd24sIEluYy4xETAPBgNVBAMMCE93biBSb290MB4XDTI2MTEy\n\
OTAwMDgzN1oXDTM2MTEyNjAwMDgzN1owNDELMAkGA1UEBhMCREUxEjAQBgNVBAoM\n\
CU93biwgSW5jLjERMA8GA1UEAwwIT3duIFJvb3QwggEiMA0GCSqGSIb3DQEBAQUA\n\
A4IBDwAwggEKAoIBAQCE85clqKndNorB8AmBKKI99+8SmY96Yq190RfaX7PRhZ2m\n\
62bkXXx7f5y6jv4vTavrqbRKwYgnxwVGg7O5uXSpnpbdAKTIj3aHFQoAGE2nYaCX\n\
Vl7Q4kgJn1B/q3nWKpMLzVVE5WS/DLGBlYqcNf7N31O7HJRA/XuTDnZ8RTIkkHc2\n\
62M+b/1KPb/wtoU4BAX3T1+fUthMIOHpk3ek2nq1YRk8OINW9G/WzfbdhiqJFQBB\n\
gY9P3c5k4G3cERkXsJENJyKvgajumUW7T6bBjtSX9E/Z5ZYbv2yFG9o/oLNoKSHw\n\
PLo3mQORZv5MPqB6FggTiTttQnH6Gum7wMaJvARDAgMBAAGjYzBhMB0GA1UdDgQW\n\
BBTL+rmRX3M6seh/aQlO4pgVw3qn3DAfBgNVHSMEGDAWgBTL+rmRX3M6seh/aQlO\n\
4pgVw3qn3DAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjANBgkqhkiG\n\
9w0BAQsFAAOCAQEAMCXSKLoTYrgBmpDjHXK2npeNIZ2B+HWoavTX+932DNy5YGdb\n\
Io3uAphCDGSTDD3+/jX4rlNCet1/HGNexzPlaWqPp2yeGY2xkxGos7u3k4LaOGMp\n\
ZLNLq7P2kpkZo6VSpLhHUYZKMeyUoKD4JaBN/a1Py0GeiB7EoAoXuWYFUnQJ5yC8\n\
IBVZr4UjN+zpzCvBstSW5GoxxQSp2BxKPgSvShxllRVVn5xwxqUHeI/b0I7/PSXq\n\
uFBY5PMR+rSKLxlnySiQYZqPbmuVwYkRi3GTQXdHv6srR84m3Yc8Hrdhku3NRPxS\n\
WT4zYKonaQB4cBihZNMKKqkZeCxiaMzIIGIo9A==\n\
-----END CERTIFICATE-----\n\
";
    /// A certificate of the first version that it signed, with a key on a curve.
    const LEAF: &str = "-----BEGIN CERTIFICATE-----\n\
MIIB7zCB2AICAP8wDQYJKoZIhvcNAQELBQAwNDELMAkGA1UEBhMCREUxEjAQBgNV\n\
BAoMCU93biwgSW5jLjERMA8GA1UEAwwIT3duIFJvb3QwHhcNMjYxMTI5MDAwODM3\n\
WhcNMjcwMzA5MDAwODM3WjASMRAwDgYDVQQDDAdsZWFmIMOpMFkwEwYHKoZIzj0C\n\
AQYIKoZIzj0DAQcDQgAEzYcfClt9F9AXpDdAn0qaXy4BpMzxmJT5ZwNhFIb9QXj/\n\
ItOAo2nkLW4F4hTcFqunHlZJOyT3LZbiz25uk507wTANBgkqhkiG9w0BAQsFAAOC\n\
AQEANAjrVZrk0U80CvJpmiElnfo4rZDm8Y1po7dBo5eJxGjYOTM/QiBSVtF0ASvg\n\
gfjmQQZfTIAqAOJeP7LB6rEIrOibhk9CzZ2tzaJo2Jm2j1X2B6yCzloK4lUqqVz4\n\
GUBT0a04Iir13X0M7O+VpVrr6nzRm+NiblCDvGoPA0AWTN2ja/T2dzAKkixX1Dyo\n\
8sR6G+kK0mn1iMrGGwdvEKiHz6cVnyLIZ3YpdXTX7EGOQRn806nEFteaphRwU2te\n\
+vmrEKLmJKGG3nqGZ33mc+Lu1hzLZLkVyeLsI+DMCPQcpCIOFWrsY0grC/VBKiYp\n\
OhNRP5vZJvQfy0QUidtwkH1+Zg==\n\
-----END CERTIFICATE-----\n\
";

    #[test]
    fn certificates_say_what_openssl_says_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let both =
            format!("# Own Root\n{ROOT}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{LEAF}");
        let database = TestDatabase::seeded(
            folder.path(),
            &[
                ("/etc/ssl/certs/ca-certificates.crt", &both),
                ("/srv/leaf.pem", LEAF),
            ],
        );
        let columns = "common_name,subject,subject2,issuer,ca,self_signed,not_valid_before,not_valid_after,\
                       signing_algorithm,key_algorithm,key_strength,key_usage,subject_key_id,authority_key_id,sha1,serial";
        let id = "cbfab9915f733ab1e87f69094ee29815c37aa7dc";
        assert_eq!(
            database.values(columns, "certificates"),
            [
                format!(
                    "Own Root|/C=DE/O=Own, Inc./CN=Own Root|C = DE, O = \"Own, Inc.\", CN = Own Root|/C=DE/O=Own, Inc./CN=Own Root|1|1|\
                     1795910917|2111270917|sha256WithRSAEncryption|rsaEncryption|2048|CRL Sign, Key Cert Sign|{id}|{id}|\
                     1f35984f4b02ee219e7936cf2c30b8b088efc141|0A1B2C"
                ),
                "leaf é|/CN=leaf \\xC3\\xA9|CN = leaf \\C3\\A9|/C=DE/O=Own, Inc./CN=Own Root|0|0|1795910917|1804550917|\
                 sha256WithRSAEncryption|id-ecPublicKey|prime256v1||||fa96ad21d1a884503941f6660d9ee9a1b5d0e6a8|FF"
                    .to_owned(),
            ]
        );
        assert_eq!(
            database.values("path,serial", "certificates where path in ('/srv', '/srv/none')"),
            ["/srv|FF"]
        );
    }
}
