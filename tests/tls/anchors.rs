//! Files of certificates, as somebody might name them with `--model-ca`.

use std::fs;
use std::path::{Path, PathBuf};

use oneloop::limits::Limits;
use oneloop::os::real::trust_anchors;
use oneloop::wire::tls::Trust;

use crate::authority::{Authority, key_pem};

/// A file that goes away with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let name = format!("oneloop-tls-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        File(path)
    }

    /// Why it is refused, without where it lies.
    fn refusal(&self) -> String {
        let error = trust_anchors(Some(&self.0)).unwrap_err();
        assert!(error.contains(&self.0.display().to_string()), "{error}: which file?");
        error.replace(&self.0.display().to_string(), "FILE")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn the_certificates_in_the_file_stand_beside_the_systems() {
    let (one, other) = (Authority::new(), Authority::new());
    // With words in between, and the line ends of another system: RFC 7468 §2.
    let text = format!("One:\n{}\nThe other:\r\n{}", one.pem(), other.pem().replace('\n', "\r\n"));
    let file = File::new("two.pem", &text);
    let found = trust_anchors(Some(&file.0)).unwrap();
    assert_eq!(found[found.len() - 2..], [one.certificate(), other.certificate()]);
    assert!(Trust::new(found, &Limits::default()).is_ok());
}

#[test]
fn a_file_that_is_missing_or_no_file_is_told() {
    let path = Path::new("/nowhere/authority.pem");
    assert_eq!(trust_anchors(Some(path)).unwrap_err(), "/nowhere/authority.pem does not exist");
    let folder = std::env::temp_dir();
    assert!(trust_anchors(Some(&folder)).unwrap_err().contains("can't be read"));
}

#[test]
fn a_key_in_place_of_a_certificate_is_told() {
    let words = "FILE holds a private key: it wants the certificate of an authority, and the key stays with its server";
    assert_eq!(File::new("key.pem", &key_pem()).refusal(), words);
    let both = format!("{}{}", Authority::new().pem(), key_pem());
    assert_eq!(File::new("both.pem", &both).refusal(), words, "beside a certificate, too");
}

#[test]
fn a_file_without_a_certificate_is_told() {
    for (name, text) in [("empty.pem", ""), ("words.pem", "not a certificate"), ("half.pem", "-----BEGIN")] {
        assert!(File::new(name, text).refusal().starts_with("FILE holds no certificate"), "{name}");
    }
    let request = Authority::new().pem().replace("CERTIFICATE", "CERTIFICATE REQUEST");
    assert!(File::new("request.pem", &request).refusal().starts_with("FILE holds no certificate but"));
}

#[test]
fn a_damaged_file_is_told() {
    let pem = Authority::new().pem();
    let cut = &pem[..pem.len() / 2];
    assert_eq!(File::new("cut.pem", cut).refusal(), "FILE is damaged: its last part has no END line");
    let noise = pem.replace("MII", "!!!");
    assert_eq!(File::new("noise.pem", &noise).refusal(), "FILE is damaged: a part is not Base64");
    let other = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let second = format!("{pem}{other}");
    assert!(File::new("other.pem", &second).refusal().starts_with("certificate 2 in FILE can't be used"));
    assert!(File::new("long.pem", &" ".repeat(5 << 20)).refusal().contains("not a file of certificates"));
}
