//! `portcullis completions`: what shells complete its command line by.

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::{Shell, generate};

use super::{CliError, Exit, print};

/// The command line of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Known,
}

/// The shells that it is known to work in.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

/// Prints a script for the shell on stdout.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let shell = match arguments.shell {
        Known::Bash => Shell::Bash,
        Known::Zsh => Shell::Zsh,
        Known::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    let mut command = super::Arguments::command();
    generate(shell, &mut command, "portcullis", &mut script);
    print(&script)
}
