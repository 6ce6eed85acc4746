//! One connection to a server as HTTP/1.1 sees it: one response at a time, each to a request that was announced.
//!
//! Who sends a request says so with [`expect`](Client::expect), because what was asked decides where the response ends.
//! Bytes that come unasked are not read. They leave the connection fit for nothing but being closed: the next response
//! could be taken for the answer to something else.
//!
//! ```
//! use oneloop::limits::Limits;
//! use oneloop::wire::http1::{Client, Framing, ResponseEvent, ResponseFraming, Sent};
//!
//! let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
//! let (mut client, limits) = (Client::new(), Limits::default());
//! client.expect(Sent::Post);
//! let part = client.receive(&bytes[..20], &limits).unwrap();
//! assert!(part.event.is_none() && part.consumed == 0);
//!
//! let whole = client.receive(bytes, &limits).unwrap();
//! assert_eq!(&bytes[whole.consumed..], b"{}");
//! let Some(ResponseEvent::Head(head)) = whole.event else { panic!("the head is whole") };
//! assert_eq!((head.status, head.framing), (200, ResponseFraming::Delimited(Framing::Length(2))));
//!
//! let body = client.receive(b"{}", &limits).unwrap();
//! assert!(matches!(body.event, Some(ResponseEvent::Body(b"{}"))));
//! let end = client.receive(b"", &limits).unwrap();
//! assert!(matches!(end.event, Some(ResponseEvent::End)));
//! assert!(client.is_over() && client.may_be_reused());
//! ```

use super::error::ResponseError;
use super::framing::{BodyDecoder, Framing};
use super::response::{ResponseFraming, ResponseHead, ResponseScanner, Sent};
use crate::base::Step;
use crate::base::planted::{Planted, is_planted};
use crate::limits::Limits;

/// What a response's bytes made happen, in this order: a head, pieces of its body, its end.
#[derive(Debug, Clone)]
pub enum ResponseEvent<'b> {
    /// The response was begun. Interim ones (1xx) are passed over and not told.
    Head(ResponseHead<'b>),
    /// The next piece of its body, never empty.
    Body(&'b [u8]),
    /// All of it was read. The end of a body that only the connection's end delimits is told by
    /// [`Client::end_of_input`] instead.
    End,
}

/// What is awaited.
///
/// ```text
///                  expect                  HeadRead                        End
/// ExpectNothing ───────────► ExpectHead ─────────────┬─► ExpectBody ──────────────────► ExpectNothing
///                             ▲      │ 1xx           │                      end of input
///                             └──────┘               └─► ExpectEndOfInput ────────────► ExpectNothing
///
///  any error ──► Broken
/// ```
#[derive(Debug)]
enum State {
    ExpectNothing,
    ExpectHead {
        scanner: ResponseScanner,
        sent: Sent,
        /// Interim responses so far.
        interim: usize,
    },
    ExpectBody(BodyDecoder),
    ExpectEndOfInput,
    Broken(ResponseError),
}

/// The client's side of one connection. Holds no bytes: a head stays in the inbox until it is whole.
#[derive(Debug)]
pub struct Client {
    state: State,
    /// Nothing has happened yet after which no other request may be sent here.
    may_go_on: bool,
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl Client {
    /// A connection before its first request.
    pub fn new() -> Client {
        Client { state: State::ExpectNothing, may_go_on: true }
    }

    /// A request was sent or is about to be: its response is awaited from here on.
    ///
    /// # Panics
    /// If the connection may not be used (again): ask [`may_be_reused`](Client::may_be_reused).
    pub fn expect(&mut self, sent: Sent) {
        assert!(self.may_be_reused(), "a request follows a whole response, on a connection that goes on");
        self.state = State::ExpectHead { scanner: ResponseScanner::new(), sent, interim: 0 };
    }

    /// Takes the next bytes; call it until it has no event and has consumed nothing, then when more have arrived.
    /// An event may be owed without new bytes, so call it with none as well.
    ///
    /// While nothing is awaited nothing is consumed: after a CONNECT that succeeded, the bytes are the tunnel's.
    ///
    /// # Errors
    /// [`ResponseError`], at the first byte that makes the response invalid. The machine stays broken and gives the
    /// same error again.
    pub fn receive<'b>(
        &mut self,
        bytes: &'b [u8],
        limits: &Limits,
    ) -> Result<Step<ResponseEvent<'b>>, ResponseError> {
        let step = match &mut self.state {
            State::ExpectNothing => {
                self.may_go_on &= bytes.is_empty();
                Ok(Step::MORE)
            }
            State::ExpectHead { scanner, sent, interim } => {
                let (sent, interim) = (*sent, *interim);
                match scanner.receive(bytes, limits) {
                    Ok(None) => Ok(Step::MORE),
                    Ok(Some(len)) => {
                        self.read_head(bytes.get(..len).unwrap_or_default(), sent, interim, limits)
                    }
                    Err(error) => Err(error),
                }
            }
            State::ExpectBody(decoder) if decoder.is_over() => {
                self.state = State::ExpectNothing;
                self.may_go_on &= bytes.is_empty();
                Ok(Step::event(0, ResponseEvent::End))
            }
            State::ExpectBody(decoder) => match decoder.receive(bytes, limits) {
                Ok(step) => Ok(Step { consumed: step.consumed, event: step.event.map(ResponseEvent::Body) }),
                Err(error) => Err(error.into()),
            },
            State::ExpectEndOfInput if bytes.is_empty() => Ok(Step::MORE),
            State::ExpectEndOfInput => Ok(Step::event(bytes.len(), ResponseEvent::Body(bytes))),
            State::Broken(error) => Err(*error),
        };
        step.inspect_err(|error| self.state = State::Broken(*error))
    }

    fn read_head<'b>(
        &mut self,
        bytes: &'b [u8],
        sent: Sent,
        interim: usize,
        limits: &Limits,
    ) -> Result<Step<ResponseEvent<'b>>, ResponseError> {
        let head = ResponseHead::parse(bytes, sent)?;
        match head.status {
            101 => return Err(ResponseError::UpgradeUnasked),
            100..=199 if interim >= limits.interim_responses_max => {
                return Err(ResponseError::TooManyInterim);
            }
            100..=199 => {
                let scanner = ResponseScanner::new();
                self.state = State::ExpectHead { scanner, sent, interim: interim + 1 };
                return Ok(Step::silent(bytes.len()));
            }
            _ => {}
        }
        self.may_go_on = head.keep_alive || is_planted(Planted::AsksBehindTheLast);
        self.state = match head.framing {
            // What a body may be long is for whoever keeps it to say: most are passed on as they come.
            ResponseFraming::Delimited(framing) => State::ExpectBody(BodyDecoder::new(framing, u64::MAX)),
            ResponseFraming::Tunnel => State::ExpectBody(BodyDecoder::new(Framing::None, 0)),
            ResponseFraming::UntilClose => State::ExpectEndOfInput,
        };
        Ok(Step::event(bytes.len(), ResponseEvent::Head(head)))
    }

    /// The server will send no more. Tell it when [`receive`](Client::receive) has no use for what is there.
    ///
    /// `Ok` if that ends a body that nothing else delimits, or if nothing was awaited. After it the response is over
    /// and no event is owed.
    ///
    /// # Errors
    /// [`ResponseError::CutShort`] if a response was awaited or is not whole; or what was wrong with it before.
    pub fn end_of_input(&mut self) -> Result<(), ResponseError> {
        self.may_go_on = false;
        let cut_short = match &self.state {
            State::ExpectNothing | State::ExpectEndOfInput => false,
            State::ExpectBody(decoder) => !decoder.is_over(),
            State::ExpectHead { .. } => true,
            State::Broken(error) => return Err(*error),
        };
        if cut_short {
            self.state = State::Broken(ResponseError::CutShort);
            return Err(ResponseError::CutShort);
        }
        self.state = State::ExpectNothing;
        Ok(())
    }

    /// No response is awaited: there was none yet, or its end was told.
    pub fn is_over(&self) -> bool {
        match self.state {
            State::ExpectNothing => true,
            State::ExpectHead { .. } | State::ExpectBody(_) | State::ExpectEndOfInput | State::Broken(_) => {
                false
            }
        }
    }

    /// Another request may be sent here: the last response is over, the server has not said that it was the last of
    /// all, and nothing came that was not asked for.
    pub fn may_be_reused(&self) -> bool {
        self.is_over() && self.may_go_on
    }
}
