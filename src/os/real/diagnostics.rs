//! Diagnostics by `simple_logger`, kept from doing harm: it writes to standard error and waits until that is taken.
//!
//! A reader that has stopped would stop the loop with it, and one that is gone would end the process (`eprintln!`
//! panics then). So each line is written only if standard error takes a line now; others are dropped, and counted
//! when lines are taken again.

use std::sync::atomic::{AtomicU64, Ordering};

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use super::log_sink::stderr_takes_a_line;

/// Characters of one message. A pipe that takes a line takes at least `PIPE_BUF` bytes; a line must not be longer.
const MESSAGE_CHARS_MAX: usize = 500;

struct Diagnostics {
    logger: SimpleLogger,
    dropped: AtomicU64,
}

impl Log for Diagnostics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if !stderr_takes_a_line() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut message = printable(&record.args().to_string());
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            message.push_str(&format!(" ({dropped} lines were dropped before this one)"));
        }
        let target = record.target();
        self.logger.log(
            &Record::builder()
                .level(record.level())
                .target(target)
                .module_path(record.module_path())
                .args(format_args!("{message}"))
                .build(),
        );
    }

    fn flush(&self) {}
}

/// Names and paths come from outside: no newline in one of them may look like the end of a line of ours.
fn printable(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for character in message.chars().take(MESSAGE_CHARS_MAX) {
        if character.is_control() {
            text.extend(character.escape_unicode());
        } else {
            text.push(character);
        }
    }
    text
}

/// Sends what is logged from `level` on to standard error. Only the first call has an effect.
pub fn start_logging(level: LevelFilter) {
    let logger = SimpleLogger::new().with_level(level);
    let diagnostics = Diagnostics { logger, dropped: AtomicU64::new(0) };
    if log::set_boxed_logger(Box::new(diagnostics)).is_ok() {
        log::set_max_level(level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_be_forged_and_has_its_bound() {
        assert_eq!(printable("a.md\nINFO all is well\u{1b}[2J"), "a.md\\u{a}INFO all is well\\u{1b}[2J");
        assert_eq!(printable(&"x".repeat(5000)).len(), MESSAGE_CHARS_MAX);
    }
}
