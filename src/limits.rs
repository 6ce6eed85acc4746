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

    /// Most empty lines before a request line that are skipped: some clients end a body with one (RFC 9112 §2.2).
    /// Beyond it: 400 and close.
    EMPTY_LINES_MAX / empty_lines_max: usize = 4;

    /// Longest request body, in bytes, where a route sets no smaller one. Over it: 413, before any of it is read
    /// when its length is declared.
    BODY_BYTES_MAX / body_bytes_max: usize = MIB;

    /// Longest body of a chat request, in bytes: a message and its history.
    CHAT_BODY_BYTES_MAX / chat_body_bytes_max: usize = 256 * KIB;

    /// Longest id of a JSON-RPC request, and longest token of its progress, in bytes of JSON: both are given back with every
    /// answer. Clients count, or take a UUID. Over it: 400.
    RPC_ID_BYTES_MAX / rpc_id_bytes_max: usize = 256;

    /// Longest chunk-size line with its extensions, in bytes (RFC 9112 §7.1.1 asks for a bound). Over it: 400.
    CHUNK_LINE_BYTES_MAX / chunk_line_bytes_max: usize = 256;

    /// Longest trailer section after a chunked body, in bytes. Trailers are checked and dropped. Over it: 431.
    TRAILER_BYTES_MAX / trailer_bytes_max: usize = 4 * KIB;

    /// Most interim responses (1xx) to one of our own requests that are passed over. A server that works for minutes may
    /// send `102 Processing` now and then. Others: Go 5. Beyond it: the response is refused.
    INTERIM_RESPONSES_MAX / interim_responses_max: usize = 32;

    /// Longest message of an event stream that is sent to us, in bytes: what is kept of its fields and the line that is
    /// being read. A model server sends some hundred bytes a token, and a whole answer or an error at most. Over it:
    /// the stream is given up.
    SSE_MESSAGE_BYTES_MAX / sse_message_bytes_max: usize = MIB;

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

    /// Longest message on a WebSocket, in bytes, all its fragments together. What a client may send there is what it may
    /// post to the chat, so it is bounded alike. Over it: refused by the header of the frame, and closed with 1009.
    /// Others: ws 100 MiB, tungstenite 64 MiB, Tornado 10 MiB.
    WEBSOCKET_MESSAGE_BYTES_MAX / websocket_message_bytes_max: usize = CHAT_BODY_BYTES_MAX;

    /// Bytes of a WebSocket message that are unmasked and checked at a time. It is the size of the buffer that is held
    /// while a message arrives, so it is small; a message at its bound has 256 such pieces.
    WEBSOCKET_PIECE_BYTES_MAX / websocket_piece_bytes_max: usize = KIB;

    /// After this long without a byte from a WebSocket's client it is pinged; if it stays silent for as long again, it is
    /// taken for gone. Others: `websockets` (Python) 20 s and 20 s.
    WEBSOCKET_PING_INTERVAL / websocket_ping_interval: Duration = Duration::from_secs(20);

    /// Frames, or pieces of long ones, that are taken from one WebSocket in one turn. Beyond it the connection waits in the
    /// pending queue.
    WEBSOCKET_FRAMES_PER_TURN_MAX / websocket_frames_per_turn_max: usize = 256;

    /// The same on all connections together: about 2 ms of work.
    WEBSOCKET_FRAMES_PER_TURN_ALL_MAX / websocket_frames_per_turn_all_max: usize = 2048;

    /// Runs that one WebSocket reads at once. Over it: a refusal with 429.
    WEBSOCKET_RUNS_MAX / websocket_runs_max: usize = 16;

    /// Messages of a WebSocket's client that are refused one after the other. Over it: closed with 1008, as nobody reads what it
    /// is told.
    WEBSOCKET_REFUSALS_MAX / websocket_refusals_max: u32 = 32;

    /// Bytes of the name that a WebSocket's client gives to a message of its, as JSON. Over it: a refusal with 422.
    WEBSOCKET_ID_BYTES_MAX / websocket_id_bytes_max: usize = 128;

    /// Silence on an event stream after which a comment is sent, so that proxies and clients see it is alive.
    HEARTBEAT_INTERVAL / heartbeat_interval: Duration = Duration::from_secs(10);

    // --- Knowledge ----------------------------------------------------------------------------------------------

    /// Most notes that are read; the rest of a larger folder is left out, and reported.
    NOTES_MAX / notes_max: usize = 200_000;

    /// Bytes of one note that are indexed. A longer note is indexed up to there and reported.
    NOTE_BYTES_MAX / note_bytes_max: usize = 512 * KIB;

    /// Longest file that `GET /notes/file/{path}` answers with, in bytes: it must fit into an outbox. Over it: 413.
    NOTE_FILE_BYTES_MAX / note_file_bytes_max: usize = 960 * KIB;

    /// Requests for single files that wait for the disk helper. Over it: 503 with `Retry-After`.
    NOTE_JOBS_WAITING_MAX / note_jobs_waiting_max: usize = 1024;

    /// Bytes of notes that are to be written. Over it: 503 with `Retry-After`.
    NOTE_BYTES_TO_WRITE_MAX / note_bytes_to_write_max: usize = 64 * MIB;

    /// Markdown that is parsed without a pause, in bytes; about 0.2 ms. A longer note is cut, before a heading where
    /// there is one; a link definition is known only in its own piece, and a list or table that is cut goes on as text.
    NOTE_PIECE_BYTES_MAX / note_piece_bytes_max: usize = 16 * KIB;

    /// Size a passage grows to, in bytes, by taking in the next block of its section. A page of a paperback has 1,800.
    PASSAGE_BYTES / passage_bytes: usize = 1500;

    /// Longest passage, in bytes. A single block (table, list, code) longer than this is cut at a line or a word.
    PASSAGE_BYTES_MAX / passage_bytes_max: usize = 4 * KIB;

    /// Different link targets kept of one note. Further ones are text only, and reported.
    LINKS_PER_NOTE_MAX / links_per_note_max: usize = 4096;

    /// Tags kept of one note. Further ones are text only.
    TAGS_PER_NOTE_MAX / tags_per_note_max: usize = 1024;

    /// Aliases kept of one note. Further ones are dropped.
    ALIASES_PER_NOTE_MAX / aliases_per_note_max: usize = 64;

    /// Notes asked for in one batch of reads: one job for the disk helper.
    NOTES_PER_READ_MAX / notes_per_read_max: usize = 32;

    /// Bytes of notes being read or waiting to be indexed. Over it: no further reads until some are indexed.
    NOTE_BYTES_WAITING_MAX / note_bytes_waiting_max: usize = 4 * MIB;

    /// Problems told in one report of a scan. Further ones are counted.
    SCAN_PROBLEMS_MAX / scan_problems_max: usize = 100;

    /// Postings of changed and removed notes that may lie in the index before they are swept, if they are also a
    /// quarter of it.
    DEAD_POSTINGS_MIN / dead_postings_min: usize = 10_000;

    /// Different terms of one query. Of a longer one the rarest are kept, as they say most.
    QUERY_TERMS_MAX / query_terms_max: usize = 32;

    /// Terms that are walked because they say much the same as the words of a query; those that say most.
    QUERY_KIN_MAX / query_kin_max: usize = 32;

    /// Unknown words of one query that are compared with the whole vocabulary. Further ones stay unknown.
    QUERY_CORRECTIONS_MAX / query_corrections_max: usize = 8;

    /// Best passages that a search compares at its end, when links lend weight.
    SEARCH_CANDIDATES_MAX / search_candidates_max: usize = 64;

    // --- Agent --------------------------------------------------------------------------------------------------

    /// Longest message of a chat request, in bytes of UTF-8. Over it: 422.
    MESSAGE_BYTES_MAX / message_bytes_max: usize = 128 * KIB;

    /// Longest name of a session, in bytes: a UUID, or what a client calls a conversation. Over it: 422.
    SESSION_NAME_BYTES_MAX / session_name_bytes_max: usize = 128;

    /// Characters of a session's oldest message that a list of sessions tells as its title: what fits into a line. The
    /// store keeps somewhat more of it, as blanks are still to be taken out.
    SESSION_TITLE_CHARS_MAX / session_title_chars_max: usize = 120;

    /// Messages of one session that are not answered yet. Over it: 503 with `Retry-After`.
    SESSION_OPEN_MAX / session_open_max: usize = 16;

    /// Messages of one session that are kept, each with its answer; the newest stay.
    SESSION_MESSAGES_MAX / session_messages_max: usize = 200;

    /// Bytes of them all. The newest message and its answer stay, however long.
    SESSION_BYTES_MAX / session_bytes_max: usize = 256 * KIB;

    /// Bytes of a session that a run is told, the newest. No model that runs on small machines reads as much.
    RECALLED_BYTES_MAX / recalled_bytes_max: usize = 64 * KIB;

    /// Sessions that are kept, where `--session-keep` says nothing. Those that nobody has spoken in for longest make room.
    SESSIONS_MAX / sessions_max: usize = 1000;

    /// Characters of its message that a list of tasks tells of each: what fits into a line or two. A message goes with the end
    /// of its run, this stays.
    TASK_MESSAGE_CHARS_MAX / task_message_chars_max: usize = 200;

    /// Turns of a conversation history. Over it: 422.
    HISTORY_TURNS_MAX / history_turns_max: usize = 1000;

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

    /// Sources that one `POST /verify` may name: as many as an answer may have.
    VERIFY_SOURCES_MAX / verify_sources_max: usize = 64;

    /// Bytes of notes that one `POST /verify` may search for what has moved, all at once: a millisecond or two.
    VERIFY_BYTES_MAX / verify_bytes_max: usize = 16 * MIB;

    /// Most pieces that an answer quotes. More would be a list of results, not an answer.
    SOURCES_MAX / sources_max: usize = 4;

    /// Bytes of one reply of a model: its text, its reasoning and its tool calls together. A long answer has 10 KiB; what
    /// is longer than this is a model that goes round in circles. Over it: the call is given up.
    MODEL_ANSWER_BYTES_MAX / model_answer_bytes_max: usize = 256 * KIB;

    /// Bytes of a model server's own words in an error that we tell. More is cut off.
    MODEL_ERROR_BYTES_MAX / model_error_bytes_max: usize = 400;

    /// Bytes of a model's answer whose sentences are held against its sources: about two milliseconds with
    /// all of these. Sentences beyond, and those that cite what was not read, are not judged.
    SUPPORTED_ANSWER_BYTES_MAX / supported_answer_bytes_max: usize = 6 * KIB;

    /// Bytes of sources that are read for it.
    SUPPORTED_SOURCE_BYTES_MAX / supported_source_bytes_max: usize = 24 * KIB;

    /// Quotes of one answer that are looked up in its sources: less than 1 ms for all, with 50 KiB of sources. Further
    /// ones are not told.
    ANSWER_QUOTES_MAX / answer_quotes_max: usize = 32;

    /// Tools that a model may call in one reply. Further calls of that reply are left out, as if it had not made them.
    TOOL_CALLS_MAX / tool_calls_max: usize = 8;

    /// Replies with tool calls in one run. After them the model is asked once more, without tools.
    TOOL_ROUNDS_MAX / tool_rounds_max: usize = 8;

    /// Changes of notes that a model may make in one run. Further ones are not made, and the model is told.
    NOTE_WRITES_PER_RUN_MAX / note_writes_per_run_max: usize = 16;

    /// How often a change of a note is planned anew because somebody else was faster. After that it is not made.
    NOTE_OVERTAKEN_MAX / note_overtaken_max: u32 = 8;

    /// Longest result of one tool call, in bytes: two long passages. The rest is left out, and the model is told.
    TOOL_RESULT_BYTES_MAX / tool_result_bytes_max: usize = 8 * KIB;

    /// Bytes of text that a token stands for when a prompt is fitted into a model's context. English has about four, German
    /// and code three, other scripts two to three: a little too few is better than a prompt that the server refuses.
    BYTES_PER_TOKEN / bytes_per_token: usize = 3;

    // --- The model ----------------------------------------------------------------------------------------------

    /// Tokens of a prompt and its answer together, where `--context-tokens` says nothing: what small models on small
    /// machines are served with.
    CONTEXT_TOKENS / context_tokens: u32 = 4096;

    /// The part of the context that is kept free for the answer: one in so many tokens.
    ANSWER_TOKENS_SHARE / answer_tokens_share: u32 = 4;

    /// Tokens of one answer at most, however large the context: more than this many servers refuse to be asked for.
    ANSWER_TOKENS_MAX / answer_tokens_max: u32 = 4096;

    /// How often a prompt that the model's server finds too long is cut to half. Beyond it the model has failed.
    PROMPT_SHRINKS_MAX / prompt_shrinks_max: u32 = 3;

    /// Passages that one answer may cite, those that tools brought included. Further ones are not shown to the model.
    CITED_SOURCES_MAX / cited_sources_max: usize = 64;

    /// From the first look for the model's address until a request can be sent. Over it: tried again, then failed.
    MODEL_CONNECT_TIMEOUT / model_connect_timeout: Duration = Duration::from_secs(5);

    /// From then on to the first byte of its answer: a long prompt on a slow machine is read for a minute.
    MODEL_FIRST_BYTE_TIMEOUT / model_first_byte_timeout: Duration = Duration::from_secs(120);

    /// Longest silence of a model within its answer.
    MODEL_GAP_TIMEOUT / model_gap_timeout: Duration = Duration::from_secs(60);

    /// Longest time for one answer of a model, all tries together.
    MODEL_TOTAL_TIMEOUT / model_total_timeout: Duration = Duration::from_secs(600);

    /// Connections to the model's server at once; more calls wait. As many as runs may be at work, since a server with fewer
    /// places queues by itself.
    MODEL_CONNECTIONS_MAX / model_connections_max: usize = 64;

    /// Calls of a model at once, one for each run at work at most. Over it: the call fails.
    MODEL_CALLS_MAX / model_calls_max: usize = 4096;

    /// How often a call is tried again before anything was answered.
    MODEL_RETRIES_MAX / model_retries_max: u32 = 2;

    /// Pause before the first of these; it doubles with each.
    RETRY_PAUSE / retry_pause: Duration = Duration::from_secs(1);

    /// Longest `Retry-After` that is waited for. A server that wants more has failed.
    RETRY_AFTER_MAX / retry_after_max: Duration = Duration::from_secs(30);

    /// Failures in a row after which the model is not asked for a while.
    BREAKER_FAILURES_MAX / breaker_failures_max: u32 = 5;

    /// How long it is not asked at first; twice as long after each probe that fails.
    BREAKER_PAUSE_MIN / breaker_pause_min: Duration = Duration::from_secs(5);

    /// How long it is not asked at most.
    BREAKER_PAUSE_MAX / breaker_pause_max: Duration = Duration::from_secs(60);

    /// Bytes of an answer that is no stream and no success which are read, for the reason that stands in it.
    REFUSAL_BYTES_MAX / refusal_bytes_max: usize = 16 * KIB;

    /// Bytes of model answers that are kept for the next who asks the same, where `--model-cache` says nothing.
    MODEL_CACHE_BYTES_MAX / model_cache_bytes_max: usize = 16 * MIB;

    /// Bytes of passages found that are kept for the next who asks the same.
    SEARCH_CACHE_BYTES_MAX / search_cache_bytes_max: usize = 2 * MIB;

    // --- The embedding server -----------------------------------------------------------------------------------

    /// How long a search waits for its question's vector, where `--embed-timeout` says nothing. Over it: the search goes on by
    /// words alone, and the answer says so.
    EMBED_TIMEOUT / embed_timeout: Duration = Duration::from_millis(300);

    /// From the first look for the embedding server's address until a request can be sent.
    EMBED_CONNECT_TIMEOUT / embed_connect_timeout: Duration = Duration::from_secs(5);

    /// Longest time for one answer of it: a batch on a slow machine.
    EMBED_ANSWER_TIMEOUT / embed_answer_timeout: Duration = Duration::from_secs(30);

    /// Pause after a failure, before passages are embedded again.
    EMBED_BACKOFF / embed_backoff: Duration = Duration::from_secs(5);

    /// Connections to the embedding server at once: one for passages, the others for questions.
    EMBED_CONNECTIONS_MAX / embed_connections_max: usize = 8;

    /// Different questions on their way to it. Over it: the search goes on without.
    EMBED_CALLS_MAX / embed_calls_max: usize = 256;

    /// Passages in one request at most: of large models, what is answered is read in under 3 ms.
    EMBED_BATCH_MAX / embed_batch_max: usize = 32;

    /// A request that takes longer is followed by one of half as many passages: a question may wait behind it.
    EMBED_BATCH_TIME_MAX / embed_batch_time_max: Duration = Duration::from_millis(200);

    /// Bytes of a passage that are embedded, with its title and headings: some 500 tokens, which is what most models read.
    EMBED_TEXT_BYTES_MAX / embed_text_bytes_max: usize = 2000;

    /// Of a text that the server still finds too long, half is tried, unless it is as short as this.
    EMBED_TEXT_BYTES_MIN / embed_text_bytes_min: usize = 400;

    /// How often a passage that the server refuses by itself is asked for.
    EMBED_TRIES_MAX / embed_tries_max: u32 = 3;

    /// Bytes of one answer of the embedding server. Over it: the request has failed.
    EMBED_ANSWER_BYTES_MAX / embed_answer_bytes_max: usize = 4 * MIB;

    /// Bytes of question vectors that are kept for the next who asks the same.
    EMBED_CACHE_BYTES_MAX / embed_cache_bytes_max: usize = MIB;

    /// Requests of clients for vectors (`POST /v1/embeddings`) at once, those that wait for a connection included. Over it:
    /// 503 with `Retry-After`.
    VECTOR_REQUESTS_MAX / vector_requests_max: usize = 32;

    /// Connections to the embedding server for them; those of questions and passages are not among these, so that a client
    /// with a library to embed keeps no search waiting.
    VECTOR_CONNECTIONS_MAX / vector_connections_max: usize = 2;

    /// Texts of one such request. Over it: 400. Others: OpenAI 2048.
    VECTOR_TEXTS_MAX / vector_texts_max: usize = 256;

    /// Bytes of one of these texts. Over it: 400. Others: OpenAI 8192 tokens, which are about as much in English.
    VECTOR_TEXT_BYTES_MAX / vector_text_bytes_max: usize = 32 * KIB;

    /// Longest time for such a request, its wait for a connection included. Over it: 503.
    VECTOR_TIMEOUT / vector_timeout: Duration = Duration::from_secs(60);

    /// Bytes of the answer to it: it must fit into an outbox. As numbers these are 150 vectors of 384 components; in base64
    /// all that a request may ask for. Over it: 400, once the server has told how long its vectors are.
    VECTOR_ANSWER_BYTES_MAX / vector_answer_bytes_max: usize = 960 * KIB;

    /// Vectors kept in the store; the ones that came first make room. Half a gigabyte at 384 components.
    VECTORS_KEPT_MAX / vectors_kept_max: u64 = 1_000_000;

    // --- Connections and the loop -------------------------------------------------------------------------------

    /// Most connections at once; one more is let in and makes the longest idle one go. Beyond it clients wait in the
    /// kernel's backlog.
    CONNECTIONS_MAX / connections_max: usize = 10_000;

    /// Silence after which an idle connection may be closed to make room for a client that waits in the backlog.
    /// It gives a client that has just been accepted the time to say something.
    EVICTION_IDLE_MIN / eviction_idle_min: Duration = Duration::from_millis(100);

    /// Most listening sockets.
    LISTENERS_MAX / listeners_max: usize = 4;

    /// Connections accepted in one turn; the rest of the backlog waits for the next, behind everyone else.
    ACCEPTS_PER_TURN_MAX / accepts_per_turn_max: usize = 64;

    /// Pause before the next try when nothing can be accepted at all (no descriptors, no memory).
    ACCEPT_BACKOFF / accept_backoff: Duration = Duration::from_millis(100);

    /// Bytes of spare buffers, and of connections, bodies and grown buffers that were freed, which the process may keep.
    /// Requests one at a time need two buffers. Beyond it, memory is given back to the system.
    UNUSED_BYTES_MAX / unused_bytes_max: usize = 64 * KIB;

    /// Time from then on until that is done: once for a crowd that leaves together, and never more often than that.
    TIDY_DELAY / tidy_delay: Duration = Duration::from_secs(1);

    /// Descriptors kept for files, the poller and the log when the connection bound is fitted to the system's.
    DESCRIPTORS_RESERVED / descriptors_reserved: usize = 32;

    /// Readiness events taken from the system in one turn. More stay there for the next.
    EVENTS_PER_WAIT_MAX / events_per_wait_max: usize = 1024;

    /// Size of a read or write buffer, in bytes. Two whole ones per busy connection at most, none for an idle one.
    BUFFER_BYTES / buffer_bytes: usize = 16 * KIB;

    /// Spare buffers kept for reuse.
    BUFFERS_SPARE_MAX / buffers_spare_max: usize = 64;

    /// Bytes read from one connection in one turn. Beyond it the connection waits in the pending queue.
    READ_BYTES_PER_TURN / read_bytes_per_turn: usize = 64 * KIB;

    /// Requests answered on one connection in one turn. Beyond it the connection waits in the pending queue.
    REQUESTS_PER_TURN_MAX / requests_per_turn_max: usize = 64;

    /// Requests begun in one turn on all connections together: about 2 ms of work. Beyond it they wait in the pending
    /// queue.
    REQUESTS_PER_TURN_ALL_MAX / requests_per_turn_all_max: usize = 2048;

    /// Bytes of answers made for one connection in one turn. Beyond it the connection waits in the pending queue.
    ANSWER_BYTES_PER_TURN / answer_bytes_per_turn: usize = 256 * KIB;

    /// Connections that are served in one turn because a run that they read has news. More wait for the next.
    NEWS_PER_TURN_MAX / news_per_turn_max: usize = 128;

    /// Unsent bytes from which on a connection is asked for no more work until its peer has read.
    OUTBOX_BYTES_HIGH / outbox_bytes_high: usize = 32 * KIB;

    /// Unsent bytes at most. Above `OUTBOX_BYTES_HIGH` there is room for one whole answer.
    OUTBOX_BYTES_MAX / outbox_bytes_max: usize = MIB;

    /// Bytes of a run's log that are framed for one reader at a time; the rest is an offset.
    STREAM_BYTES_PER_FILL / stream_bytes_per_fill: usize = 8 * KIB;

    /// Units of work (about a microsecond each) that all tasks together may do in one turn. A request that arrives
    /// meanwhile waits at most so long.
    UNITS_PER_TURN / units_per_turn: u32 = 200;

    /// Units that one task may do before the next has its go.
    UNITS_PER_SLICE / units_per_slice: u32 = 50;

    /// Runs whose steps `GET /agent/logs` still knows.
    LOGGED_RUNS_MAX / logged_runs_max: usize = 100;

    /// Steps of one run that are logged. Further ones are counted.
    LOGGED_STEPS_MAX / logged_steps_max: usize = 64;

    /// Views of the notes (lists, graphs, grep) in the making at once. Over it: 503 with `Retry-After`.
    VIEWS_MAX / views_max: usize = 64;

    /// Jobs that wait for the disk helper.
    DISK_JOBS_MAX / disk_jobs_max: usize = 8;

    /// Pause before the next try when the disk helper can't be started. Meanwhile `POST /sync` is answered 503.
    DISK_BACKOFF / disk_backoff: Duration = Duration::from_secs(1);

    /// Addresses of one host that are tried. Further ones are left out.
    DIAL_ADDRESSES_MAX / dial_addresses_max: usize = 8;

    /// How long an address may take before the next is tried beside it (RFC 8305 §5 recommends this).
    DIAL_NEXT_AFTER / dial_next_after: Duration = Duration::from_millis(250);

    /// How long the addresses of a name are used without another lookup: the resolver does not tell how long they are good.
    ADDRESSES_GOOD_FOR / addresses_good_for: Duration = Duration::from_secs(30);

    /// Exchanges with others at once, those that wait for their place included: one for each run at work. Over it: the
    /// exchange fails.
    EXCHANGES_MAX / exchanges_max: usize = 4096;

    /// How long a connection to somebody else is kept without use. Below the 60 s or more after which servers close it.
    OUTBOUND_IDLE_TIMEOUT / outbound_idle_timeout: Duration = Duration::from_secs(30);

    /// Bytes that are read and dropped behind the part of a response that was wanted, so that its connection can be used
    /// again. Over it: the connection is closed.
    OUTBOUND_REST_BYTES_MAX / outbound_rest_bytes_max: usize = 4 * KIB;

    /// How long that may take.
    OUTBOUND_REST_TIMEOUT / outbound_rest_timeout: Duration = Duration::from_secs(1);

    /// Bytes read of one exchange in one turn. Beyond it the exchange waits in the pending queue: each event in them costs
    /// about 3 us of work.
    OUTBOUND_BYTES_PER_TURN / outbound_bytes_per_turn: usize = 8 * KIB;

    /// Bytes read of all exchanges in one turn: about 2 ms of work.
    OUTBOUND_BYTES_PER_TURN_ALL / outbound_bytes_per_turn_all: usize = 128 * KIB;

    /// Names that wait for the names helper. Over it: the exchange that wants one fails.
    LOOKUPS_MAX / lookups_max: usize = 64;

    /// Connections to others at once, those that are being made or kept for later included. Over it: the exchange that
    /// wants one fails.
    OUTBOUND_SOCKETS_MAX / outbound_sockets_max: usize = 256;

    /// Plaintext that is sealed for a peer at a time, in bytes; the next is sealed once its record has left. With what a
    /// record adds it fits into a buffer.
    TLS_SEND_BYTES_MAX / tls_send_bytes_max: usize = BUFFER_BYTES - 256;

    /// TLS sessions that are remembered, so that a connection to the same host begins with less work. The oldest goes.
    TLS_SESSIONS_MAX / tls_sessions_max: usize = 8;

    // --- Callbacks ----------------------------------------------------------------------------------------------

    /// Longest `callback_url`, in bytes. Over it: 422. Others: 2,083 is what old browsers took of any address.
    CALLBACK_URL_BYTES_MAX / callback_url_bytes_max: usize = 2 * KIB;

    /// Callbacks that are outstanding, those of runs that have not ended included. What is to be sent is not among it: that
    /// is fetched for each try. Over it: 503 with `Retry-After`.
    CALLBACKS_MAX / callbacks_max: usize = 4096;

    /// Of these, those to one server, so that one which is gone leaves room for the others. Over it: 503 with `Retry-After`.
    CALLBACKS_PER_SERVER_MAX / callbacks_per_server_max: usize = 1024;

    /// Callbacks that are tried at once. More wait for a place.
    CALLBACKS_AT_ONCE_MAX / callbacks_at_once_max: usize = 32;

    /// Of these, those to one server: so many servers that say nothing leave most of the places to others.
    CALLBACKS_AT_ONCE_PER_SERVER_MAX / callbacks_at_once_per_server_max: usize = 2;

    /// Callbacks that are begun in one turn: each is signed, which takes about 2 us for each KiB of an answer. Further ones
    /// begin in the next.
    CALLBACKS_PER_TURN_MAX / callbacks_per_turn_max: usize = 4;

    /// Servers whose addresses and connections are remembered between two callbacks. The next one takes the place of one
    /// that is not asked anything.
    CALLBACK_SERVERS_MAX / callback_servers_max: usize = 2 * CALLBACKS_AT_ONCE_MAX;

    /// From the first look for a receiver's address until a callback can be sent to it. Over it: the try has failed.
    CALLBACK_CONNECT_TIMEOUT / callback_connect_timeout: Duration = Duration::from_secs(5);

    /// Longest time for one try of a callback. The Standard Webhooks specification asks for 15 to 30 s.
    CALLBACK_TIMEOUT / callback_timeout: Duration = Duration::from_secs(15);

    /// How often a callback is tried; then it is given up.
    CALLBACK_ATTEMPTS_MAX / callback_attempts_max: u32 = 8;

    /// Pause behind the first try of a callback that failed; each further one is three times as long, which makes an hour at
    /// most of all of them. A part of it, up to a half, is left out by chance.
    CALLBACK_PAUSE / callback_pause: Duration = Duration::from_secs(3);

    /// Longest pause between two tries, whatever the receiver wishes for with `Retry-After`.
    CALLBACK_PAUSE_MAX / callback_pause_max: Duration = Duration::from_secs(3600);

    /// Pause when a try could not begin for want of room with us. It counts as none.
    CALLBACK_BACKOFF / callback_backoff: Duration = Duration::from_secs(1);

    // --- The store ----------------------------------------------------------------------------------------------

    /// Jobs that wait for the store's helper: one batch, one sweep, and reads.
    STORE_JOBS_MAX / store_jobs_max: usize = 8;

    /// Reads handed to the store's helper at once; more wait for their turn with us.
    STORE_READS_MAX / store_reads_max: usize = 4;

    /// Reads of the store that wait for their turn. Over it: 503 with `Retry-After`.
    STORE_READS_WAITING_MAX / store_reads_waiting_max: usize = 1024;

    /// Bytes of one batch from which on no further run is added to it; the rest goes with the next. It bounds what a turn
    /// copies.
    BATCH_BYTES / batch_bytes: usize = 256 * KIB;

    /// Ended runs whose end is not kept yet, while commits are slow. Over it: 503 with `Retry-After`.
    UNKEPT_RUNS_MAX / unkept_runs_max: usize = 1024;

    /// Bytes of all questions that are accepted and not kept yet. Over it: 503 with `Retry-After`.
    QUESTION_BYTES_UNKEPT_MAX / question_bytes_unkept_max: usize = 64 * MIB;

    /// Pause before the next try when something could not be kept. Meanwhile new work is answered 507 or 503.
    STORE_BACKOFF / store_backoff: Duration = Duration::from_secs(1);

    /// Event numbers that a run reserves at a time. A number is told only once its reservation is kept, so that no
    /// process uses it again; half of them are left when the next are asked for.
    EVENTS_RESERVED / events_reserved: u64 = 1024;

    /// How often a run is set to work by processes that end under it, before it is given up.
    RUN_ATTEMPTS_MAX / run_attempts_max: u32 = 3;

    /// How long runs that were taken over wait for the notes to be indexed, before they go on with those that are.
    INDEX_PATIENCE / index_patience: Duration = Duration::from_secs(60);

    /// Ended runs that one sweep lets go of because of their age. More wait for the next, behind whatever else the store
    /// has to do.
    RUNS_PER_SWEEP / runs_per_sweep: usize = 64;

    /// Ended runs that one sweep lets go of because they are too many: as many as come in while it is made, or they would
    /// become ever more. About 30 ms of the store's helper.
    RUNS_PER_SWEEP_MAX / runs_per_sweep_max: usize = 1024;

    /// Bytes of JSON from which on a page of tasks or sessions is full, be there fewer on it than were asked for; the next
    /// page has the rest. A thousand usual rows fit.
    LIST_BYTES_MAX / list_bytes_max: usize = 512 * KIB;

    /// Longest that a poller may wait for a task to end, in seconds (`?wait=`). Over it: 422.
    TASK_WAIT_SECONDS_MAX / task_wait_seconds_max: u32 = 60;

    /// Longest idempotency key, in bytes of printable ASCII. Over it: 400. Others: Stripe 255.
    IDEMPOTENCY_KEY_BYTES_MAX / idempotency_key_bytes_max: usize = 255;

    /// Bytes that all kept runs together may take on disk. Over it: 507 until some were swept.
    STATE_BYTES_MAX / state_bytes_max: u64 = 4096 * MIB as u64;

    /// After the last run was stopped, how long the end of the process waits for what is to be kept.
    FAREWELL_TIMEOUT / farewell_timeout: Duration = Duration::from_secs(5);

    /// Pause after which a reader of a stream comes back, in milliseconds, when the server restarts (`retry:`).
    STREAM_RETRY_MS / stream_retry_ms: u64 = 1000;

    /// News from helpers that wait for the loop; a helper with more waits itself.
    COMPLETIONS_MAX / completions_max: usize = 16;

    /// After SIGTERM, what runs may finish within this time.
    SHUTDOWN_TIMEOUT / shutdown_timeout: Duration = Duration::from_secs(10);

    /// Bytes of access log gathered in one turn. Lines beyond it are dropped and counted.
    ACCESS_LOG_BYTES_MAX / access_log_bytes_max: usize = 64 * KIB;
}

const _: () = assert!(HEAD_BYTES_MAX <= BUFFER_BYTES, "a head at its bound must fit into one buffer");
const _: () = assert!(HEAD_BYTES_MAX <= READ_BYTES_PER_TURN, "one turn must be able to read a whole head");

const _: () = assert!(
    CALLBACK_SERVERS_MAX >= CALLBACKS_AT_ONCE_MAX,
    "each try that is under way has its server's place"
);

const _: () =
    assert!(STORE_JOBS_MAX >= STORE_READS_MAX + 2, "a batch and a sweep have room beside the reads");

const _: () = assert!(
    NOTE_FILE_BYTES_MAX + OUTBOX_BYTES_HIGH + HEAD_BYTES_MAX <= OUTBOX_BYTES_MAX,
    "a file at its bound must fit into an outbox"
);
const _: () = assert!(
    VECTOR_ANSWER_BYTES_MAX + OUTBOX_BYTES_HIGH + HEAD_BYTES_MAX <= OUTBOX_BYTES_MAX,
    "vectors at their bound must fit into an outbox"
);
const _: () = assert!(
    LIST_BYTES_MAX + LIST_BYTES_MAX / 8 + OUTBOX_BYTES_HIGH + HEAD_BYTES_MAX <= OUTBOX_BYTES_MAX,
    "a full page and the row that has filled it must fit into an outbox"
);
const _: () = assert!(NOTE_BYTES_MAX <= NOTE_FILE_BYTES_MAX, "what can be written can be read");

const _: () = assert!(TARGET_BYTES_MAX < HEAD_BYTES_MAX, "a target at its bound must fit into a head");
const _: () =
    assert!(QUERY_WORDS_MAX + CONTEXT_WORDS_MAX <= 64, "a composer keeps a set of terms in one u64");
