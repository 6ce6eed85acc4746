//! The other side: `rustls` as a server, and a wire of two byte queues between it and our machine.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use oneloop::wire::tls::{Read, Tls, TlsError};
use rustls::crypto::ring;
use rustls::{Error, ServerConfig, ServerConnection, SupportedProtocolVersion};

use crate::authority::Identity;

/// Both versions that we speak.
pub const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// The settings of a server.
pub fn settings(identity: Identity, version: &'static SupportedProtocolVersion) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let config = config.with_no_client_auth();
    let mut config = config.with_single_cert(vec![identity.certificate], identity.key).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// A server with one connection.
pub struct Server {
    pub session: ServerConnection,
    /// Plaintext that it was sent.
    pub heard: Vec<u8>,
    /// It was told that no more will come.
    pub was_told_the_end: bool,
    /// Why it gave up.
    pub error: Option<Error>,
}

impl Server {
    pub fn new(config: &Arc<ServerConfig>) -> Server {
        let mut session = ServerConnection::new(config.clone()).unwrap();
        session.set_buffer_limit(None);
        Server { session, heard: Vec::new(), was_told_the_end: false, error: None }
    }

    /// Takes all of `ciphertext`.
    pub fn receive(&mut self, mut ciphertext: &[u8]) {
        while !ciphertext.is_empty() && self.error.is_none() && !self.was_told_the_end {
            self.session.read_tls(&mut ciphertext).unwrap();
            match self.session.process_new_packets() {
                Ok(state) => self.was_told_the_end = state.peer_has_closed(),
                Err(error) => self.error = Some(error),
            }
            // Its error says that it wants more.
            let _ = self.session.reader().read_to_end(&mut self.heard);
        }
    }

    /// Sends `plaintext`, however much it is; before the end of the handshake it waits for that.
    pub fn send(&mut self, plaintext: &[u8]) {
        self.session.writer().write_all(plaintext).unwrap();
    }

    /// All ciphertext that it wants to send.
    pub fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut out).unwrap();
        }
        out
    }
}

/// Gives the machine all of `ciphertext`, and reads all plaintext there is.
///
/// # Errors
/// The machine's.
pub fn feed(tls: &mut Tls, ciphertext: &[u8], heard: &mut Vec<u8>) -> Result<(), TlsError> {
    let mut rest = ciphertext;
    loop {
        let received = tls.receive(rest);
        read_all(tls, heard);
        let taken = received?;
        rest = &rest[taken..];
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// Reads all plaintext there is; answers whether the peer has ended.
pub fn read_all(tls: &mut Tls, heard: &mut Vec<u8>) -> bool {
    let mut space = [0; 1024];
    loop {
        match tls.read(&mut space) {
            Read::Bytes(count) => heard.extend_from_slice(&space[..count]),
            Read::Nothing => return false,
            Read::Ended => return true,
        }
    }
}

/// Passes everything to and fro until both are silent.
///
/// # Errors
/// The machine's; what it had to say of it has reached the server.
pub fn settle(tls: &mut Tls, server: &mut Server, heard: &mut Vec<u8>) -> Result<(), TlsError> {
    loop {
        let mut out = Vec::new();
        tls.take(&mut out);
        server.receive(&out);
        let answer = server.take();
        if out.is_empty() && answer.is_empty() {
            return Ok(());
        }
        if let Err(error) = feed(tls, &answer, heard) {
            let mut alert = Vec::new();
            tls.take(&mut alert);
            server.receive(&alert);
            return Err(error);
        }
    }
}
