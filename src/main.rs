//! The `portcullis` program: one command, one exit code.
#![forbid(unsafe_code)]

use std::error::Error as _;
use std::io::Write as _;
use std::process::ExitCode;

use portcullis::cli::{self, Exit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(std::env::args_os()) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            // If nobody reads it, there is still the exit code.
            let _ = writeln!(std::io::stderr(), "portcullis: {text}");
            ExitCode::from(Exit::Failure.code())
        }
    }
}
