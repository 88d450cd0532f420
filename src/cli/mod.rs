//! The command line: a file a command (section 12).

mod ask;
mod check;
mod complain;
mod completions;
mod demo;
mod explain;
mod hand_over;
mod health;
mod load;
mod man;
mod manager;
mod recall;
mod replay;
mod run;
mod say;
mod schema;
mod signals;
mod stdin;

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use self::say::written;
use crate::admin::AdminError;
use crate::log::access::AccessLogError;
use crate::server::{PassedError, ServeError};

/// How a command ended; the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, also when the decision is deny.
    Done,
    /// 3: `replay --fail-on-change`, and something changed.
    Changed,
    /// 64: the command line is wrong.
    Usage,
    /// 78: the configuration is missing, unreadable or invalid, or a test of
    /// it fails.
    Config,
    /// 1: anything else.
    Failure,
}

impl Exit {
    /// The number (`sysexits.h` where it has one).
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Changed => 3,
            Self::Usage => 64,
            Self::Config => 78,
        }
    }
}

/// Why a command failed outside configuration and usage: exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Standard input or output.
    #[error("cannot {0}")]
    Io(&'static str, #[source] std::io::Error),
    /// A log that is to be replayed.
    #[error("--log {}: cannot be read", .0.display())]
    Log(PathBuf, #[source] std::io::Error),
    /// The server does not start.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// What listens already is of no use.
    #[error(transparent)]
    Passed(#[from] PassedError),
    /// There is no admin listener.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The access log cannot be opened.
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
    /// The program's own log cannot be set up.
    #[error("the program's own log cannot be set up")]
    OwnLog(#[source] tracing_subscriber::util::TryInitError),
}

/// An edge reverse proxy that decides who may fetch or upload assets.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy
    Run {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Compile a configuration and run its tests
    Check {
        /// The configuration file
        file: PathBuf,
    },
    /// Run a proxy and an origin of our own, and print curl lines to try
    Demo {
        /// Where the proxy listens
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Tell what would become of a request, and why
    Explain(explain::Arguments),
    /// Ask a running proxy, through its admin listener, whether it is well
    Health(health::Arguments),
    /// Tell what a configuration would have done with logged requests
    Replay(replay::Arguments),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print a script by which a shell completes this command line
    Completions(completions::Arguments),
    /// Print the manual page, for man(1)
    Man,
}

/// Runs the command in `arguments`, program name first.
///
/// # Errors
///
/// What went wrong outside configuration and usage, for exit code 1.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<Exit, CliError> {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return Ok(if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            });
        }
    };
    match arguments.command {
        Command::Run { config } => run::run(&config),
        Command::Check { file } => check::run(&file),
        Command::Demo { listen } => demo::run(listen),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Schema => schema::run(),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man => man::run(),
    }
}

/// All that a command has to say, on stdout.
fn print(text: &[u8]) -> Result<Exit, CliError> {
    let mut stdout = std::io::stdout().lock();
    written(stdout.write_all(text).and_then(|()| stdout.flush()))?;
    Ok(Exit::Done)
}
