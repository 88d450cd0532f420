//! The `portcullis` program: one command, one exit code.
#![forbid(unsafe_code)]

use std::error::Error as _;
use std::process::ExitCode;

use portcullis::cli::{self, Exit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run(std::env::args_os()) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            eprint!("portcullis: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::from(Exit::Failure.code())
        }
    }
}
