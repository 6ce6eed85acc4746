//! The handshake: whether a request asks for a WebSocket as RFC 6455 §4.2.1 has it, and what it is answered.
//!
//! What a client offers of subprotocols and extensions is passed over: a server that takes none does not mention them
//! (§4.2.2). Whether the page that asks may do so, which its `Origin` tells, is not looked at here.
//!
//! ```
//! use oneloop::limits::Limits;
//! use oneloop::wire::http1::{RequestEvent, Server};
//! use oneloop::wire::websocket::accept_key;
//!
//! // The example of RFC 6455 §1.3.
//! let bytes = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
//!     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
//!     Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
//! let mut server = Server::new();
//! let Some(RequestEvent::Head(head)) = server.receive(bytes, &Limits::default()).unwrap().event else {
//!     panic!("the head is whole")
//! };
//! assert_eq!(accept_key(&head).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//! ```

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use ring::digest;

use crate::wire::http1::{Head, Method, Version};

/// Goes behind the key before it is hashed (RFC 6455 §1.3): only who knows WebSocket knows it.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes of a key when its base64 is taken off (RFC 6455 §4.1).
const KEY_BYTES: usize = 16;

/// The key of the RFC's own example, `AQIDBAUGBwgJCgsMDQ4PEC==`, sets bits of its last character that mean nothing.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The fields that go with a 426: what would be taken (RFC 9110 §15.5.22, RFC 6455 §4.4).
pub const UPGRADE_FIELDS: [(&str, &str); 2] = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];

/// Why a request does not become a WebSocket. The text of its `Display` goes to the peer as `{"detail": ...}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeError {
    /// A method other than GET.
    NotGet,
    /// HTTP/1.0, in which a server passes over `Upgrade` (RFC 9110 §7.8).
    NotHttp11,
    /// The request has a body: who reads it as frames and who skips it disagree about what follows.
    HasBody,
    /// No `Upgrade`: a plain request for something that is a WebSocket only.
    UpgradeMissing,
    /// More than one `Upgrade`.
    UpgradeRepeated,
    /// An `Upgrade` to something else.
    UpgradeUnknown,
    /// `Connection` does not name `upgrade`.
    ConnectionOptionMissing,
    /// No `Sec-WebSocket-Version`.
    VersionMissing,
    /// More than one `Sec-WebSocket-Version`.
    VersionRepeated,
    /// A `Sec-WebSocket-Version` other than 13.
    VersionUnknown,
    /// No `Sec-WebSocket-Key`.
    KeyMissing,
    /// More than one `Sec-WebSocket-Key`.
    KeyRepeated,
    /// A `Sec-WebSocket-Key` that is not 16 bytes in base64.
    KeyInvalid,
}

impl UpgradeError {
    /// The status code of the answer that tells the peer: 426 where another request of the same client could do better.
    pub fn status(self) -> u16 {
        match self {
            UpgradeError::NotGet
            | UpgradeError::NotHttp11
            | UpgradeError::HasBody
            | UpgradeError::UpgradeRepeated
            | UpgradeError::ConnectionOptionMissing
            | UpgradeError::VersionRepeated
            | UpgradeError::KeyMissing
            | UpgradeError::KeyRepeated
            | UpgradeError::KeyInvalid => 400,
            UpgradeError::UpgradeMissing
            | UpgradeError::UpgradeUnknown
            | UpgradeError::VersionMissing
            | UpgradeError::VersionUnknown => 426,
        }
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UpgradeError::NotGet => "a WebSocket is asked for by GET",
            UpgradeError::NotHttp11 => "a WebSocket is asked for in HTTP/1.1",
            UpgradeError::HasBody => "a request for a WebSocket has no body",
            UpgradeError::UpgradeMissing => "this is a WebSocket, and the Upgrade field is missing",
            UpgradeError::UpgradeRepeated => "the Upgrade field is repeated",
            UpgradeError::UpgradeUnknown => "the Upgrade field does not name websocket",
            UpgradeError::ConnectionOptionMissing => "the Connection field does not name upgrade",
            UpgradeError::VersionMissing => "the Sec-WebSocket-Version field is missing",
            UpgradeError::VersionRepeated => "the Sec-WebSocket-Version field is repeated",
            UpgradeError::VersionUnknown => "only version 13 of WebSocket is spoken here",
            UpgradeError::KeyMissing => "the Sec-WebSocket-Key field is missing",
            UpgradeError::KeyRepeated => "the Sec-WebSocket-Key field is repeated",
            UpgradeError::KeyInvalid => "the Sec-WebSocket-Key field is not 16 bytes in base64",
        })
    }
}

impl std::error::Error for UpgradeError {}

/// The value of `Sec-WebSocket-Accept` for a request that asks for a WebSocket and is in order.
///
/// # Errors
/// [`UpgradeError`] by cause. The connection is still one of HTTP, and the answer is an ordinary one.
pub fn accept_key(head: &Head<'_>) -> Result<String, UpgradeError> {
    if head.method != Method::Get {
        return Err(UpgradeError::NotGet);
    }
    if head.version != Version::Http11 {
        return Err(UpgradeError::NotHttp11);
    }
    let upgrade = only(head, "upgrade", UpgradeError::UpgradeMissing, UpgradeError::UpgradeRepeated)?;
    if !names(upgrade, b"websocket") {
        return Err(UpgradeError::UpgradeUnknown);
    }
    // Several fields are one list (RFC 9110 §5.3), and proxies do add to this one.
    if !head.fields("connection").any(|value| names(value, b"upgrade")) {
        return Err(UpgradeError::ConnectionOptionMissing);
    }
    let version =
        only(head, "sec-websocket-version", UpgradeError::VersionMissing, UpgradeError::VersionRepeated)?;
    if version != b"13" {
        return Err(UpgradeError::VersionUnknown);
    }
    let key = only(head, "sec-websocket-key", UpgradeError::KeyMissing, UpgradeError::KeyRepeated)?;
    if KEY_BASE64.decode(key).ok().is_none_or(|bytes| bytes.len() != KEY_BYTES) {
        return Err(UpgradeError::KeyInvalid);
    }
    if !head.framing.is_empty() {
        return Err(UpgradeError::HasBody);
    }
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(GUID);
    Ok(STANDARD.encode(context.finish()))
}

/// The value of the one field of this name.
fn only<'b>(
    head: &Head<'b>,
    name: &str,
    missing: UpgradeError,
    repeated: UpgradeError,
) -> Result<&'b [u8], UpgradeError> {
    let mut values = head.fields(name);
    let value = values.next().ok_or(missing)?;
    if values.next().is_some() { Err(repeated) } else { Ok(value) }
}

/// Whether a list has this member, in any case.
fn names(list: &[u8], member: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(member))
}
