//! The binary: arguments in, exit code out.
//!
//! | exit code | when |
//! |---|---|
//! | 0 | done as asked; also after SIGINT or SIGTERM, once what ran has finished |
//! | 1 | the world said no: a port in use, a folder that can't be read, an `ask` that was interrupted |
//! | 2 | the command was wrong |
//! | 128 + n | a second signal *n* ended it at once |

use std::process::ExitCode;

fn main() -> ExitCode {
    oneloop::cli::run(std::env::args_os())
}
