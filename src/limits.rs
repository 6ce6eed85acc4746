//! Every bound in one place: its unit, its reason, what happens beyond it, and who else has one like it.
//!
//! Each constant is the default of the field of the same name in [`Limits`], the one value that is passed down,
//! so a test or a simulated world can set any of them to one. Read by everyone; imports nothing of ours.

use std::time::Duration;

/// 1,024 bytes.
pub const KIB: usize = 1024;
/// 1,024 KiB.
pub const MIB: usize = 1024 * KIB;

/// Declares each bound once: the documented constant, the field beside it, and the default that joins them.
macro_rules! limits {
    ($($(#[$doc:meta])* $constant:ident / $field:ident : $type:ty = $value:expr;)*) => {
        $($(#[$doc])* pub const $constant: $type = $value;)*

        /// All bounds that are in force, handed down from `main` (or from a test, or from a simulated world).
        #[derive(Debug, Clone, PartialEq)]
        pub struct Limits {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($field: $constant,)* }
            }
        }
    };
}

limits! {
    // --- HTTP ---------------------------------------------------------------------------------------------------

    /// Longest request head, in bytes: request line and header fields together, with the empty line that ends them.
    /// Others: nginx 4 x 8 KiB, h11 16 KiB, Node 16 KiB. Over it: 431 and close.
    HEAD_BYTES_MAX / head_bytes_max: usize = 16 * KIB;

    /// Longest request target, in bytes. RFC 9112 §3 asks for at least 8,000 octets of request line.
    /// Over it: 414 and close.
    TARGET_BYTES_MAX / target_bytes_max: usize = 8 * KIB;

    /// Most header fields in a request; the head is tokenised into an array of this size on the stack.
    /// Others: Apache 100, Go by bytes only. Over it: 431 and close.
    HEADER_FIELDS_MAX / header_fields_max: usize = 100;

    /// Longest request body, in bytes, where a route sets no smaller one. Over it: 413, before any of it is read
    /// when its length is declared.
    BODY_BYTES_MAX / body_bytes_max: usize = MIB;

    /// Longest body of a chat request, in bytes: a message and its history.
    CHAT_BODY_BYTES_MAX / chat_body_bytes_max: usize = 256 * KIB;

    /// Longest chunk-size line with its extensions, in bytes (RFC 9112 §7.1.1 asks for a bound). Over it: 400.
    CHUNK_LINE_BYTES_MAX / chunk_line_bytes_max: usize = 256;

    /// Longest trailer section after a chunked body, in bytes. Trailers are checked and dropped. Over it: 431.
    TRAILER_BYTES_MAX / trailer_bytes_max: usize = 4 * KIB;

    /// Bytes of all request bodies being received at once. Over it: 503 with `Retry-After`.
    BODY_BYTES_IN_FLIGHT_MAX / body_bytes_in_flight_max: usize = 64 * MIB;

    /// From accept (or, for a later request, from its first byte) to the end of its head. Not restarted by a byte.
    /// Others: nginx 60 s, Node 60 s. Over it: 408 and close.
    HEAD_TIMEOUT / head_timeout: Duration = Duration::from_secs(10);

    /// Longest silence inside a body. Over it: 408 and close.
    BODY_GAP_TIMEOUT / body_gap_timeout: Duration = Duration::from_secs(15);

    /// Longest time for a whole body, however steadily it drips. Over it: 408 and close.
    BODY_TIMEOUT / body_timeout: Duration = Duration::from_secs(300);

    /// Longest wait for the next request on a connection. Over it: closed without a word.
    /// Just over the 60 s after which common proxies give up, so that they are the ones to close.
    IDLE_TIMEOUT / idle_timeout: Duration = Duration::from_secs(65);

    /// Longest time in which a peer takes none of the bytes we have for it. Over it: reset.
    WRITE_STALL_TIMEOUT / write_stall_timeout: Duration = Duration::from_secs(20);

    /// How long, after the last byte of an answer that ends a connection, we still read and drop what the peer sends,
    /// so that a reset does not overtake the answer (RFC 9112 §9.6). Others: nginx `lingering_timeout` 5 s.
    LINGER_TIMEOUT / linger_timeout: Duration = Duration::from_secs(2);

    /// Bytes that are read and dropped in that time. Over it: closed.
    LINGER_BYTES_MAX / linger_bytes_max: usize = 4 * MIB;

    /// Silence on an event stream after which a comment is sent, so that proxies and clients see it is alive.
    HEARTBEAT_INTERVAL / heartbeat_interval: Duration = Duration::from_secs(10);

    // --- Knowledge ----------------------------------------------------------------------------------------------

    /// Bytes of one note that are indexed. A longer note is indexed up to there and reported.
    NOTE_BYTES_MAX / note_bytes_max: usize = 512 * KIB;

    // --- Agent --------------------------------------------------------------------------------------------------

    /// Longest message of a chat request, in bytes of UTF-8. Over it: 422.
    MESSAGE_BYTES_MAX / message_bytes_max: usize = 128 * KIB;

    /// Distinct words of a message that are searched for. What stands behind them is not read: whoever pastes a
    /// page with a question gets the first words' answer. A composer keeps the set of terms found as bits of one `u64`.
    QUERY_WORDS_MAX / query_words_max: usize = 48;

    /// Bytes of a message that are read to find those words, so that no message costs more than this.
    QUERY_BYTES_MAX / query_bytes_max: usize = 2 * KIB;

    /// Words of earlier turns that a follow-up carries along. Beyond it, older words are left out.
    CONTEXT_WORDS_MAX / context_words_max: usize = 12;

    /// Earlier turns that are looked at for those words, newest first.
    CONTEXT_TURNS_MAX / context_turns_max: usize = 8;

    /// Bytes of one earlier turn that are read.
    CONTEXT_BYTES_MAX / context_bytes_max: usize = KIB;

    /// Passages that a run asks a search for.
    PASSAGES_MAX / passages_max: usize = 12;

    /// Longest answer, in bytes: a screen of text. A piece that does not fit is left out; the best one is cut, if
    /// it alone is longer, at the end of a line or sentence.
    ANSWER_BYTES_MAX / answer_bytes_max: usize = 3 * KIB;

    /// Most pieces that an answer quotes. More would be a list of results, not an answer.
    SOURCES_MAX / sources_max: usize = 4;

    // --- Connections and the loop -------------------------------------------------------------------------------

    /// Most connections at once. Beyond it the listener pauses: clients wait in the kernel's backlog.
    CONNECTIONS_MAX / connections_max: usize = 10_000;
}

const _: () = assert!(TARGET_BYTES_MAX < HEAD_BYTES_MAX, "a target at its bound must fit into a head");
const _: () =
    assert!(QUERY_WORDS_MAX + CONTEXT_WORDS_MAX <= 64, "a composer keeps a set of terms in one u64");
