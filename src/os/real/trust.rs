//! Whom to trust when a server shows a certificate: the authorities that the system knows, and those in a file.
//!
//! Read once, at start. The certificates are handed on as they are; what is done with them is for `wire::tls`.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject, SectionKind};

/// Longest file of certificates, in bytes; all that Mozilla trusts take 220 KiB. Over it: refused.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The certificates of authorities that the system trusts, and those in the PEM file `extra`.
///
/// Where the system's are is found as OpenSSL does; `SSL_CERT_FILE` and `SSL_CERT_DIR` are used instead if they are set.
///
/// # Errors
/// What is wrong with `extra`, or that there is not one certificate, in words for whoever started the program.
pub fn trust_anchors(extra: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        // One of many; that all are missing is told below.
        log::warn!("some of the system's certificates can't be read: {error}");
    }
    let mut certificates = system.certs;
    if let Some(path) = extra {
        certificates.extend(certificates_in(path)?);
    }
    if certificates.is_empty() {
        return Err("no certificate of an authority was found on this system: install ca-certificates, \
                    set SSL_CERT_FILE, or name a file with --model-ca"
            .to_owned());
    }
    Ok(certificates)
}

/// Every certificate in a PEM file, which has one at least and nothing that should be kept secret.
fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let name = path.display();
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text));
    match read {
        Ok(count) if count as u64 > FILE_BYTES_MAX => {
            return Err(format!("{name} is longer than {FILE_BYTES_MAX} bytes: not a file of certificates"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(format!("{name} does not exist")),
        Err(error) => return Err(format!("{name} can't be read: {error}")),
    }
    let mut certificates = Vec::new();
    let mut other = None;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&text) {
        let (kind, der) = section.map_err(|error| format!("{name} is damaged: {}", plain(error)))?;
        match kind {
            SectionKind::Certificate => certificates.push(checked(der, certificates.len() + 1, path)?),
            SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => {
                return Err(format!(
                    "{name} holds a private key: it wants the certificate of an authority, and the key stays with its server"
                ));
            }
            // A kind that the library learns later is no certificate either.
            kind => other = Some(kind),
        }
    }
    match other {
        _ if !certificates.is_empty() => Ok(certificates),
        Some(kind) => Err(format!("{name} holds no certificate but something else ({kind:?})")),
        None => Err(format!(
            "{name} holds no certificate: it wants lines from -----BEGIN CERTIFICATE----- on (PEM)"
        )),
    }
}

/// The certificate, if it can stand behind others. One that is passed over in silence would be found out only by a
/// failing handshake.
fn checked(der: Vec<u8>, number: usize, path: &Path) -> Result<CertificateDer<'static>, String> {
    let certificate = CertificateDer::from(der);
    match RootCertStore::empty().add(certificate.clone()) {
        Ok(()) => Ok(certificate),
        Err(error) => Err(format!("certificate {number} in {} can't be used: {error}", path.display())),
    }
}

/// What is wrong, without the bytes around it.
fn plain(error: pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its last part has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is not as it should be",
        pem::Error::Base64Decode(_) => "a part is not Base64",
        // There is no file behind a slice, and what the library learns later is not told by name.
        _ => "a part is not as it should be",
    }
}
