//! Signatures of what we send unasked, as the Standard Webhooks specification has them (version 1): whoever receives it can
//! tell that it comes from us, that nobody has changed it, and that it is not an old one sent once more.
//!
//! What is signed is `id.timestamp.body`, by HMAC-SHA256. The id is the message's own and stays over all tries, the time
//! is that of one try, and the body is signed byte by byte: a receiver must not parse it and write it anew before it looks.
//!
//! ```
//! use oneloop::wire::webhook::SigningKey;
//!
//! // The example of the specification's reference libraries.
//! let key = SigningKey::new(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
//! let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, br#"{"test": 2432232314}"#);
//! assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
//! ```

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use ring::hmac;

/// The field that names a message; the same over all tries, so that a receiver can drop what it has had already.
pub const ID: &str = "webhook-id";
/// The field that tells when a try was made, in seconds of Unix time. Receivers refuse what is older than some minutes.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The field that holds the signature.
pub const SIGNATURE: &str = "webhook-signature";

/// Before the base64 of a secret.
const PREFIX: &[u8] = b"whsec_";

/// Some tools leave out the padding, and receivers' libraries take either.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Shortest secret, in bytes, that the specification allows: 192 bits.
pub const SECRET_BYTES_MIN: usize = 24;

/// What messages are signed with.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// Why a secret can't be used. Its words hold nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretError {
    /// Behind `whsec_` there is no base64.
    NotBase64,
    /// It has only so many bytes.
    TooShort(usize),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretError::NotBase64 => f.write_str("what stands behind whsec_ is not base64"),
            SecretError::TooShort(bytes) => {
                write!(f, "it has {bytes} bytes, and {SECRET_BYTES_MIN} is the least")
            }
        }
    }
}

impl std::error::Error for SecretError {}

impl SigningKey {
    /// The key that a secret stands for: behind `whsec_` it is base64, else the bytes themselves. Blanks and line ends around
    /// it are not part of it.
    ///
    /// # Errors
    /// [`SecretError`] by cause.
    pub fn new(secret: &[u8]) -> Result<SigningKey, SecretError> {
        let secret = secret.trim_ascii();
        let decoded = match secret.strip_prefix(PREFIX) {
            Some(base64) => LENIENT.decode(base64).map_err(|_| SecretError::NotBase64)?,
            None => secret.to_vec(),
        };
        if decoded.len() < SECRET_BYTES_MIN {
            return Err(SecretError::TooShort(decoded.len()));
        }
        Ok(SigningKey(hmac::Key::new(hmac::HMAC_SHA256, &decoded)))
    }

    /// The value of [`SIGNATURE`] for a message.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(signing key)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_with_its_prefix_is_the_same_as_its_bytes() {
        let raw = b"0123456789abcdef01234567";
        let prefixed = format!(" whsec_{}\n", STANDARD.encode(raw));
        let sign = |secret: &[u8]| SigningKey::new(secret).unwrap().sign("a", 1, b"b");
        assert_eq!(sign(raw), sign(prefixed.as_bytes()));
        let long = [b'k'; 25];
        let unpadded = format!("whsec_{}", STANDARD.encode(long).trim_end_matches('='));
        assert_eq!(sign(&long), sign(unpadded.as_bytes()));
        assert_ne!(sign(raw), sign(b"0123456789abcdef01234568"));
    }

    #[test]
    fn a_secret_that_is_too_short_or_damaged_is_refused() {
        let refused = |secret: &[u8]| SigningKey::new(secret).unwrap_err();
        assert_eq!(refused(b"0123456789abcdef0123456"), SecretError::TooShort(23));
        assert_eq!(refused(b"\n"), SecretError::TooShort(0));
        assert_eq!(refused(b"whsec_MDEyMw=="), SecretError::TooShort(4));
        assert_eq!(refused(b"whsec_?"), SecretError::NotBase64);
    }

    #[test]
    fn no_debug_shows_a_key() {
        let key = SigningKey::new(b"0123456789abcdef01234567").unwrap();
        assert_eq!(format!("{key:?}"), "(signing key)");
    }
}
