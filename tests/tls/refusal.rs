//! What a client must not accept, and how that is told.

use std::sync::Arc;

use oneloop::limits::Limits;
use oneloop::wire::tls::{Tls, TlsError, Trust};
use rustls::{AlertDescription, Error};

use crate::authority::{Authority, Identity, self_signed};
use crate::server::{Server, VERSIONS, feed, settings, settle};

/// A handshake with whoever has this identity, and what the server was told.
fn meet(trust: &Trust, host: &str, identity: Identity) -> (Result<(), TlsError>, Option<Error>) {
    let mut server = Server::new(&Arc::new(settings(identity, VERSIONS[1])));
    let mut tls = Tls::new(trust, host).unwrap();
    let outcome = settle(&mut tls, &mut server, &mut Vec::new());
    assert_eq!(outcome.is_ok(), !tls.is_handshaking());
    if let Err(error) = &outcome {
        assert_eq!(tls.error(), Some(error));
        assert_eq!(tls.receive(b"more"), Err(error.clone()), "it stays broken");
        assert_eq!(tls.send(b"secret"), 0, "nothing is sent to whom we do not trust");
    }
    (outcome, server.error)
}

fn told(alert: AlertDescription) -> Option<Error> {
    Some(Error::AlertReceived(alert))
}

#[test]
fn whoever_has_a_certificate_for_the_name_is_believed() {
    let authority = Authority::new();
    let names = ["model.test", "*.models.test", "127.0.0.1", "::1"];
    for host in ["model.test", "MODEL.test", "a.models.test", "127.0.0.1", "::1", "[::1]"] {
        assert_eq!(meet(&authority.trust(), host, authority.issue(&names)), (Ok(()), None), "{host}");
    }
}

#[test]
fn another_name_is_refused_and_told_with_the_names_that_would_do() {
    let authority = Authority::new();
    let names = ["model.test", "*.models.test", "127.0.0.1"];
    for host in ["other.test", "a.b.models.test", "models.test", "127.0.0.2", "::1"] {
        let (outcome, heard) = meet(&authority.trust(), host, authority.issue(&names));
        let error = outcome.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the server's certificate is not for {host} but for model.test, *.models.test, 127.0.0.1"
            )
        );
        assert_eq!(heard, told(AlertDescription::BadCertificate));
    }
}

#[test]
fn of_a_hundred_names_a_few_are_told() {
    let authority = Authority::new();
    let names: Vec<String> = (0..100).map(|number| format!("n{number}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (outcome, _) = meet(&authority.trust(), "other.test", authority.issue(&names));
    let text = outcome.unwrap_err().to_string();
    assert!(text.ends_with(
        "but for n0.test, n1.test, n2.test, n3.test, n4.test, n5.test, n6.test, n7.test and 92 more"
    ));
}

#[test]
fn a_certificate_without_names_is_for_nobody() {
    let authority = Authority::new();
    let (outcome, _) = meet(&authority.trust(), "model.test", authority.issue(&[]));
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "the server's certificate is not for model.test, nor for any other name"
    );
}

#[test]
fn an_expired_certificate_is_refused_and_told_since_when() {
    let authority = Authority::new();
    let (outcome, heard) =
        meet(&authority.trust(), "model.test", authority.issue_dated(&["model.test"], 2019, 2021));
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "the server's certificate has expired on 2021-01-01T00:00:00.000Z"
    );
    assert_eq!(heard, told(AlertDescription::CertificateExpired));
}

#[test]
fn a_certificate_of_the_future_is_refused_and_told_from_when() {
    let authority = Authority::new();
    let (outcome, heard) =
        meet(&authority.trust(), "model.test", authority.issue_dated(&["model.test"], 3000, 3001));
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "the server's certificate is valid only from 3000-01-01T00:00:00.000Z on, or this clock is wrong"
    );
    assert_eq!(heard, told(AlertDescription::CertificateExpired));
}

#[test]
fn an_unknown_authority_is_refused_and_told_how_to_make_it_known() {
    // An authority of the same name, with another key.
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (outcome, heard) = meet(&ours.trust(), "model.test", theirs.issue(&["model.test"]));
    let error = outcome.unwrap_err();
    assert_eq!(error, TlsError::BadSignature);
    assert!(error.to_string().contains("--model-ca"), "{error}");
    assert_eq!(heard, told(AlertDescription::DecryptError));

    let (outcome, heard) = meet(&ours.trust(), "model.test", self_signed("model.test", false));
    let error = outcome.unwrap_err();
    assert_eq!(error, TlsError::UnknownIssuer);
    assert!(error.to_string().contains("--model-ca"), "{error}");
    assert_eq!(heard, told(AlertDescription::UnknownCA));
}

#[test]
fn a_certificate_that_signed_itself_is_believed_if_it_is_in_the_file_and_no_authoritys() {
    let limits = Limits::default();
    let identity = self_signed("model.test", false);
    let trust = Trust::new(vec![identity.certificate.clone()], &limits).unwrap();
    assert_eq!(meet(&trust, "model.test", identity), (Ok(()), None));

    let identity = self_signed("model.test", true);
    let trust = Trust::new(vec![identity.certificate.clone()], &limits).unwrap();
    let (outcome, _) = meet(&trust, "model.test", identity);
    assert_eq!(outcome, Err(TlsError::AuthorityAsServer));
}

#[test]
fn trust_in_nobody_is_an_error_and_certificates_that_cannot_be_read_are_passed_over() {
    let limits = Limits::default();
    assert_eq!(Trust::new(Vec::new(), &limits).unwrap_err(), TlsError::NobodyTrusted);
    let garbage = || b"not a certificate".to_vec().into();
    assert_eq!(Trust::new(vec![garbage()], &limits).unwrap_err(), TlsError::NobodyTrusted);
    assert!(Trust::new(vec![garbage(), Authority::new().certificate()], &limits).is_ok());
}

#[test]
fn what_is_no_name_is_refused_before_anything_is_sent() {
    let trust = Authority::new().trust();
    for host in ["", "a b", "model.test:443", "[::1", "*.test", "mödel.test", "http://model.test"] {
        assert_eq!(Tls::new(&trust, host).unwrap_err(), TlsError::BadName, "{host}");
    }
}

#[test]
fn an_answer_in_plain_text_is_told_from_broken_tls() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..],
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.test ESMTP\r\n",
        b"\0\0\0\0\0\0\0\0\0",
        b"\x16\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        // Cut at every point: it is the same as soon as it can be told, and an end before that is told as such.
        for cut in 0..=answer.len() {
            let mut tls = Tls::new(&Authority::new().trust(), "model.test").unwrap();
            let mut heard = Vec::new();
            let outcome = feed(&mut tls, &answer[..cut], &mut heard)
                .and_then(|()| feed(&mut tls, &answer[cut..], &mut heard));
            assert_eq!(outcome, Err(TlsError::NotTls), "{}, cut at {cut}", answer.escape_ascii());
            assert!(TlsError::NotTls.to_string().contains("http://"));
        }
    }
}

#[test]
fn an_end_before_the_handshakes_is_told_as_such() {
    let mut tls = Tls::new(&Authority::new().trust(), "model.test").unwrap();
    assert_eq!(tls.end_of_input(), Err(TlsError::ClosedEarly));
    assert_eq!(tls.end_of_input(), Err(TlsError::ClosedEarly));
}

#[test]
fn a_server_without_a_protocol_in_common_is_told_by_its_alert() {
    let authority = Authority::new();
    let mut config = settings(authority.issue(&["model.test"]), VERSIONS[1]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut server = Server::new(&Arc::new(config));
    let mut tls = Tls::new(&authority.trust(), "model.test").unwrap();
    let error = settle(&mut tls, &mut server, &mut Vec::new()).unwrap_err();
    assert_eq!(error, TlsError::Alert(AlertDescription::NoApplicationProtocol));
    assert!(error.to_string().contains("HTTP/1.1"), "{error}");
}

#[test]
fn a_server_that_knows_nothing_of_protocols_will_do() {
    let authority = Authority::new();
    let mut config = settings(authority.issue(&["model.test"]), VERSIONS[0]);
    config.alpn_protocols = Vec::new();
    let mut server = Server::new(&Arc::new(config));
    let mut tls = Tls::new(&authority.trust(), "model.test").unwrap();
    assert_eq!(settle(&mut tls, &mut server, &mut Vec::new()), Ok(()));
}

#[test]
fn an_alert_is_told_by_its_name() {
    for (alert, words) in [
        (&b"\x15\x03\x03\x00\x02\x02\x28"[..], "no cipher or key exchange in common"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "neither TLS 1.2 nor TLS 1.3"),
        (b"\x15\x03\x03\x00\x02\x02\x70", "no host of this name"),
        (b"\x15\x03\x03\x00\x02\x02\x50", "InternalError"),
        (b"\x15\x03\x03\x00\x02\x02\xee", "alert 238"),
        (b"\x15\x03\x03\x00\x02\x02\x00", "closed it during the handshake"),
    ] {
        let mut tls = Tls::new(&Authority::new().trust(), "model.test").unwrap();
        let outcome = feed(&mut tls, alert, &mut Vec::new());
        let outcome = outcome.and_then(|()| tls.end_of_input());
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    }
}
