//! Standard error as a sink that never makes the loop wait.
//!
//! Standard error is shared with whoever started us, so it can't be made non-blocking: that would change it for the
//! shell as well. A pipe or socket that polls writable takes at least `PIPE_BUF` bytes without blocking (pipe(7)),
//! so we ask first and write at most that much. Files and terminals are written to directly.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};

use crate::os::LogSink;

/// Bytes that a writable pipe is sure to take (`PIPE_BUF` on Linux).
const PIPE_BYTES_SURE: usize = 4096;

/// Standard error.
#[derive(Debug)]
pub struct Stderr {
    may_block: bool,
}

impl Stderr {
    /// Looks at what standard error is.
    pub fn new() -> Stderr {
        let kind = fstat(rustix::stdio::stderr()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        Stderr { may_block: !matches!(kind, Ok(FileType::RegularFile)) }
    }
}

/// Standard error takes a line of up to `PIPE_BUF` bytes without waiting. A pipe whose reader is gone does not.
pub(super) fn stderr_takes_a_line() -> bool {
    let stderr = rustix::stdio::stderr();
    let mut polled = [PollFd::from_borrowed_fd(stderr.as_fd(), PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let answered = matches!(poll(&mut polled, Some(&now)), Ok(1));
    let is_gone = polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP);
    answered && polled[0].revents().contains(PollFlags::OUT) && !is_gone
}

/// Where to cut so that whole lines are written, if one fits.
fn whole_lines(lines: &[u8]) -> &[u8] {
    let piece = &lines[..lines.len().min(PIPE_BYTES_SURE)];
    let end = piece.iter().rposition(|byte| *byte == b'\n').map_or(piece.len(), |newline| newline + 1);
    &piece[..end]
}

impl Default for Stderr {
    fn default() -> Stderr {
        Stderr::new()
    }
}

impl LogSink for Stderr {
    fn write(&mut self, lines: &[u8]) -> usize {
        let mut written = 0;
        while written < lines.len() {
            let mut piece = &lines[written..];
            if self.may_block {
                if !stderr_takes_a_line() {
                    break;
                }
                piece = whole_lines(piece);
            }
            match rustix::io::write(rustix::stdio::stderr(), piece) {
                Ok(count) if count > 0 => written += count,
                Ok(_) | Err(_) => break,
            }
        }
        written
    }
}
