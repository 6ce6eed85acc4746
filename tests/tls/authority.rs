//! An authority made for one test, and the certificates that it gives.

use oneloop::limits::Limits;
use oneloop::wire::tls::Trust;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Somebody who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Authority of a test");
        Authority(CertifiedIssuer::self_signed(params, new_key()).unwrap())
    }

    /// A certificate for `names`, DNS names or IP addresses.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.issue_dated(names, 2000, 4000)
    }

    /// A certificate that is valid from the beginning of one year to that of another.
    pub fn issue_dated(&self, names: &[&str], from_year: i32, until_year: i32) -> Identity {
        let mut params = CertificateParams::new(owned(names)).unwrap();
        params.not_before = rcgen::date_time_ymd(from_year, 1, 1);
        params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, "Server of a test");
        let key = new_key();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.der().clone(), key: private(&key) }
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a client needs to believe this authority and no other.
    pub fn trust(&self) -> Trust {
        Trust::new(vec![self.certificate()], &Limits::default()).unwrap()
    }
}

/// What `openssl req -x509` makes: a certificate that nobody but itself stands behind; an authority's, or not.
pub fn self_signed(name: &str, is_authority: bool) -> Identity {
    let mut params = CertificateParams::new(owned(&[name])).unwrap();
    params.is_ca = if is_authority { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    let key = new_key();
    let certificate = params.self_signed(&key).unwrap();
    Identity { certificate: certificate.der().clone(), key: private(&key) }
}

/// A key as the text of a file.
pub fn key_pem() -> String {
    new_key().serialize_pem()
}

fn new_key() -> KeyPair {
    KeyPair::generate().unwrap()
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
