//! TLS for a client: ciphertext in, plaintext out, and the other way round; `rustls` does the cryptography.
//!
//! ```text
//!                 ┌──────────────── Tls ────────────────┐
//!    socket ──► receive ──► records opened ──► read ──► inbox
//!    socket ◄── take ◄───── records sealed ◄── send ◄── outbox
//!                 └─────────────────────────────────────┘
//! ```
//!
//! One arrival may open several records or none, and an arrival may have to be answered before any plaintext comes:
//! a handshake is made of such. So whoever owns this machine reads until it says [`Nothing`](Read::Nothing) before it
//! believes that nothing is there, and takes what is to be sent after each arrival.
//!
//! A peer that has said all it wants to says so with an alert, `close_notify`; a bare end of the connection may come
//! from anyone on the way (RFC 8446 §6.1). A body that ends with its connection is whole only after the former.
//!
//! Not pure to the last: `rustls` draws its own randomness, and reads the clock to see whether a certificate is valid.
//! So this machine stays outside the simulated world, and has a suite of its own (`tests/tls`). Client certificates,
//! early data and revocation lists are not handled.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, InvalidMessage, RootCertStore,
};

use crate::base::WallTime;
use crate::limits::Limits;

/// The one protocol that is spoken inside (RFC 7301 §6).
const PROTOCOL: &[u8] = b"http/1.1";

/// Names of a certificate that an error tells. Some certificates have a hundred.
const NAMES_TOLD_MAX: usize = 8;

/// Whom we believe: the certificates of authorities. A clone shares them, and the sessions that can be resumed.
#[derive(Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    send_bytes_max: usize,
}

impl Trust {
    /// Trusts servers whose certificates one of `certificates` stands behind. Those that can't be read are passed over:
    /// the list of a system often has some.
    ///
    /// # Errors
    /// [`TlsError::NobodyTrusted`] when none is left.
    pub fn new(certificates: Vec<CertificateDer<'static>>, limits: &Limits) -> Result<Trust, TlsError> {
        let mut authorities = RootCertStore::empty();
        let (added, _passed_over) = authorities.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(TlsError::NobodyTrusted);
        }
        let provider = Arc::new(ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions = versions.map_err(TlsError::Other)?;
        let mut config = versions.with_root_certificates(authorities).with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.resumption = Resumption::in_memory_sessions(limits.tls_sessions_max);
        Ok(Trust { config: Arc::new(config), send_bytes_max: limits.tls_send_bytes_max })
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

/// What a try to read plaintext brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many bytes, one at least.
    Bytes(usize),
    /// None is there until more ciphertext is received.
    Nothing,
    /// The peer has said that it will send no more.
    Ended,
}

/// The client's side of one TLS connection.
pub struct Tls {
    session: ClientConnection,
    send_bytes_max: usize,
    /// `close_notify` was received.
    ended: bool,
    /// It was sent.
    closed: bool,
    /// Once set, no more ciphertext is looked at.
    error: Option<TlsError>,
}

impl Tls {
    /// Begins a connection to `host`, a name or an IP address (an IPv6 one with brackets or without). Its hello waits to
    /// be taken.
    ///
    /// # Errors
    /// [`TlsError::BadName`] when `host` is neither.
    pub fn new(trust: &Trust, host: &str) -> Result<Tls, TlsError> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::BadName)?;
        let mut session = ClientConnection::new(trust.config.clone(), name).map_err(TlsError::Other)?;
        let send_bytes_max = trust.send_bytes_max;
        // It bounds what is sealed and not taken yet, and `send` waits for that to be taken.
        session.set_buffer_limit(Some(send_bytes_max));
        Ok(Tls { session, send_bytes_max, ended: false, closed: false, error: None })
    }

    /// Takes some of `ciphertext` and opens its records, until plaintext waits to be read. Answers how many bytes it
    /// took: none while plaintext waits, else one at least.
    ///
    /// # Errors
    /// Why the connection can't go on. What was opened before can still be read, an alert that tells the peer may wait
    /// to be taken, and every later call answers the same.
    pub fn receive(&mut self, ciphertext: &[u8]) -> Result<usize, TlsError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let mut rest = ciphertext;
        while !rest.is_empty() && !self.has_plaintext() {
            if self.ended || self.closed {
                // RFC 8446 §6.1: what follows a closure alert is ignored. After our own, nobody wants to know, and
                // `rustls` can't tell the peer of an error any more (its debug assertions forbid the try).
                return Ok(ciphertext.len());
            }
            // It takes a few KiB at a time, into a buffer that it bounds itself: by 64 KiB for a message of the
            // handshake, else by one record.
            let state = match self.session.read_tls(&mut rest) {
                Ok(1..) => self.session.process_new_packets(),
                Ok(0) | Err(_) => Err(InvalidMessage::HandshakePayloadTooLarge.into()),
            };
            match state {
                Ok(state) => self.ended = state.peer_has_closed(),
                Err(error) => return Err(self.fail(sort(error, &self.session))),
            }
        }
        Ok(ciphertext.len() - rest.len())
    }

    /// The connection has ended beneath: no more ciphertext will come.
    ///
    /// # Errors
    /// [`TlsError::CutShort`] when the peer did not say that this is the end, [`TlsError::ClosedEarly`] when there was no
    /// connection yet, and what went wrong before.
    pub fn end_of_input(&mut self) -> Result<(), TlsError> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.ended || self.closed => Ok(()),
            None if self.is_handshaking() => Err(self.fail(TlsError::ClosedEarly)),
            None => Err(self.fail(TlsError::CutShort)),
        }
    }

    /// Reads plaintext into `space`, which has room for one byte at least.
    pub fn read(&mut self, space: &mut [u8]) -> Read {
        match self.session.reader().read(space) {
            Ok(0) if self.ended => Read::Ended,
            // Its error says that more ciphertext is wanted.
            Ok(0) | Err(_) => Read::Nothing,
            Ok(count) => Read::Bytes(count),
        }
    }

    /// Seals the first part of `plaintext`, `Limits::tls_send_bytes_max` at most. Answers how many bytes that is: none
    /// unless it [`may_send`](Tls::may_send), and none while ciphertext waits to be taken.
    pub fn send(&mut self, plaintext: &[u8]) -> usize {
        if !self.may_send() || self.has_ciphertext() {
            return 0;
        }
        let part = &plaintext[..plaintext.len().min(self.send_bytes_max)];
        self.session.writer().write(part).unwrap_or(0)
    }

    /// Plaintext can be sent, once what is sealed has been taken: not during the handshake, not after an error or
    /// [`close`](Tls::close).
    pub fn may_send(&self) -> bool {
        !self.is_handshaking() && self.error.is_none() && !self.closed
    }

    /// [`close`](Tls::close) has something to say: it was not called, and nothing went wrong.
    pub fn may_close(&self) -> bool {
        self.error.is_none() && !self.closed
    }

    /// Says that nothing more will be sent, once. Whoever does has all that it wants: what is received from here on is
    /// passed over.
    pub fn close(&mut self) {
        self.session.send_close_notify();
        self.closed = true;
    }

    /// Appends all ciphertext that waits to `out`; answers how many bytes that was.
    pub fn take(&mut self, out: &mut Vec<u8>) -> usize {
        let before = out.len();
        while self.has_ciphertext() {
            let taken = self.session.write_tls(out);
            debug_assert!(matches!(taken, Ok(1..)), "a vector takes whatever it is given");
            if !matches!(taken, Ok(1..)) {
                break;
            }
        }
        out.len() - before
    }

    /// Ciphertext waits to be taken.
    pub fn has_ciphertext(&self) -> bool {
        self.session.wants_write()
    }

    /// Plaintext waits to be read.
    pub fn has_plaintext(&mut self) -> bool {
        self.session.reader().into_first_chunk().is_ok_and(|chunk| !chunk.is_empty())
    }

    /// The peer has said that it will send no more. Plaintext from before may wait.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// No plaintext can be sent or has come yet.
    pub fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// What went wrong. Final.
    pub fn error(&self) -> Option<&TlsError> {
        self.error.as_ref()
    }

    fn fail(&mut self, error: TlsError) -> TlsError {
        self.error = Some(error.clone());
        error
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tls { session, send_bytes_max: _, ended, closed, error } = self;
        let handshaking = session.is_handshaking();
        f.debug_struct("Tls")
            .field("handshaking", &handshaking)
            .field("ended", ended)
            .field("closed", closed)
            .field("error", error)
            .finish_non_exhaustive()
    }
}

/// Why there is no TLS connection, or not any more.
#[derive(Debug, Clone, PartialEq)]
pub enum TlsError {
    /// Not one certificate of an authority can be used.
    NobodyTrusted,
    /// What should be the name of a host is neither a DNS name nor an IP address.
    BadName,
    /// The certificate was given to somebody else.
    WrongName {
        /// Whom we wanted to speak with.
        wanted: String,
        /// The first of the names that the certificate has.
        names: Vec<String>,
        /// How many more there are.
        left_out: usize,
    },
    /// The certificate, or one behind it, is not valid any more.
    Expired {
        /// When it ended.
        since: WallTime,
    },
    /// The certificate, or one behind it, is not valid yet; or our clock is wrong.
    NotYetValid {
        /// When it begins.
        from: WallTime,
    },
    /// Nobody whom we trust stands behind the certificate.
    UnknownIssuer,
    /// Somebody of the name of one whom we trust stands behind the certificate, with another key; or the peer does not have
    /// the certificate's key.
    BadSignature,
    /// The certificate is one of an authority. Those that `openssl req -x509` makes are, unless it is told otherwise.
    AuthorityAsServer,
    /// What was answered is not TLS.
    NotTls,
    /// The peer ended the connection and said why (RFC 8446 §6.2).
    Alert(AlertDescription),
    /// The connection ended before the handshake did.
    ClosedEarly,
    /// The connection ended without the peer's saying that it was to (RFC 8446 §6.1). What came is authentic, and may be
    /// only the beginning.
    CutShort,
    /// The peer broke the protocol, or can't do what we ask for.
    Other(Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::NobodyTrusted => f.write_str("there is no certificate of an authority to trust"),
            TlsError::BadName => f.write_str("neither a host name nor an IP address"),
            TlsError::WrongName { wanted, names, left_out } => {
                write!(f, "the server's certificate is not for {wanted}")?;
                match (names.is_empty(), left_out) {
                    (true, _) => f.write_str(", nor for any other name"),
                    (false, 0) => write!(f, " but for {}", names.join(", ")),
                    (false, more) => write!(f, " but for {} and {more} more", names.join(", ")),
                }
            }
            TlsError::Expired { since } => write!(f, "the server's certificate has expired on {since}"),
            TlsError::NotYetValid { from } => {
                write!(f, "the server's certificate is valid only from {from} on, or this clock is wrong")
            }
            TlsError::UnknownIssuer => f.write_str(
                "the server's certificate comes from nobody whom this system trusts; \
                 name the file of its authority with --model-ca",
            ),
            TlsError::BadSignature => f.write_str(
                "the server's certificate is signed with a key that is not its authority's; \
                 if that was made anew, name its new file with --model-ca",
            ),
            TlsError::AuthorityAsServer => f.write_str(
                "the server shows the certificate of an authority (CA:TRUE) as its own; \
                 it needs one with basicConstraints CA:FALSE",
            ),
            TlsError::NotTls => {
                f.write_str("what the server answers is not TLS; perhaps it speaks plain http://")
            }
            TlsError::Alert(alert) => write!(f, "the server ended the connection: {}", in_words(*alert)),
            TlsError::ClosedEarly => f.write_str("the server closed the connection during the TLS handshake"),
            TlsError::CutShort => f.write_str(
                "the connection was cut: it ended without the end that TLS asks for (close_notify)",
            ),
            TlsError::Other(error) => write!(f, "TLS failed: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// Finds the cause behind what `rustls` says.
fn sort(error: Error, session: &ClientConnection) -> TlsError {
    match error {
        Error::AlertReceived(alert) => TlsError::Alert(alert),
        // The first record is told by its first bytes (RFC 8446 §5.1). Behind it, bad bytes have another reason.
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) if session.protocol_version().is_none() => TlsError::NotTls,
        Error::InvalidCertificate(error) => sort_certificate_error(error),
        other => TlsError::Other(other),
    }
}

fn sort_certificate_error(error: CertificateError) -> TlsError {
    match error {
        CertificateError::NotValidForNameContext { expected, presented } => TlsError::WrongName {
            wanted: expected.to_str().into_owned(),
            left_out: presented.len().saturating_sub(NAMES_TOLD_MAX),
            names: presented.iter().take(NAMES_TOLD_MAX).map(|name| bare_name(name).to_owned()).collect(),
        },
        CertificateError::ExpiredContext { time: _, not_after } => {
            TlsError::Expired { since: wall_time(not_after) }
        }
        CertificateError::NotValidYetContext { time: _, not_before } => {
            TlsError::NotYetValid { from: wall_time(not_before) }
        }
        CertificateError::UnknownIssuer => TlsError::UnknownIssuer,
        CertificateError::BadSignature => TlsError::BadSignature,
        // It has a name only behind a type of another crate.
        CertificateError::Other(error) if format!("{:?}", error.0) == "CaUsedAsEndEntity" => {
            TlsError::AuthorityAsServer
        }
        other => TlsError::Other(other.into()),
    }
}

/// `DnsName("example.org")` and `IpAddress(127.0.0.1)` without what stands around them.
fn bare_name(told: &str) -> &str {
    let inner = told.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(told);
    inner.trim_matches('"')
}

fn wall_time(moment: UnixTime) -> WallTime {
    WallTime::from_millis(moment.as_secs().saturating_mul(1000))
}

/// The alerts that tell somebody what to do; the others as `rustls` names them.
fn in_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CloseNotify => "it closed it during the handshake".to_owned(),
        AlertDescription::HandshakeFailure => {
            "it has no cipher or key exchange in common with us (handshake_failure)".to_owned()
        }
        AlertDescription::ProtocolVersion => {
            "it speaks neither TLS 1.2 nor TLS 1.3 (protocol_version)".to_owned()
        }
        AlertDescription::UnrecognisedName => "it knows no host of this name (unrecognized_name)".to_owned(),
        AlertDescription::CertificateRequired => {
            "it asks for a client certificate, and we have none (certificate_required)".to_owned()
        }
        AlertDescription::NoApplicationProtocol => {
            "it does not speak HTTP/1.1 (no_application_protocol)".to_owned()
        }
        other => other.as_str().map_or_else(|| format!("alert {}", u8::from(other)), str::to_owned),
    }
}
