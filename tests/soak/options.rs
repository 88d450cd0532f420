//! How it is called.

use std::path::PathBuf;

/// Something that is broken on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// The origin sends a wrong byte.
    Byte,
    /// What the origin sends was made a minute ago.
    Stale,
    /// A line of the access log is not read.
    Lost,
    /// A line of the access log is read twice.
    Twice,
    /// Blocked clients are expected to pass.
    Rule,
    /// The memory that is read grows.
    Memory,
}

impl Break {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Byte, "byte"),
        (Self::Stale, "stale"),
        (Self::Lost, "lost"),
        (Self::Twice, "twice"),
        (Self::Rule, "rule"),
        (Self::Memory, "memory"),
    ];
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The program.
    pub(crate) program: PathBuf,
    /// How long clients come.
    pub(crate) seconds: u64,
    /// Requests a second, about.
    pub(crate) rate: u64,
    pub(crate) seed: u64,
    /// Where the figures go.
    pub(crate) result: Option<PathBuf>,
    pub(crate) breaks: Option<Break>,
}

const HELP: &str = "usage: soak [--minutes N | --seconds N] [--rate N] [--seed N] [--program FILE] [--result FILE] [--break WHAT]";

impl Options {
    /// What the arguments say; `None` if there is nothing to do: they are
    /// those of `cargo test` for other tests.
    pub(crate) fn read() -> Option<Self> {
        let mut options = Self {
            program: PathBuf::from(env!("CARGO_BIN_EXE_portcullis")),
            seconds: 10,
            rate: 120,
            seed: 1,
            result: None,
            breaks: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| wrong(&argument));
            let number = |text: String| text.parse().unwrap_or_else(|_| wrong(&text));
            match argument.as_str() {
                "--minutes" => options.seconds = number(value()) * 60,
                "--seconds" => options.seconds = number(value()),
                "--rate" => options.rate = number(value()).max(1),
                "--seed" => options.seed = number(value()),
                "--program" => options.program = value().into(),
                "--result" => options.result = Some(value().into()),
                "--break" => {
                    let name = value();
                    let known = Break::ALL.iter().find(|(_, known)| *known == name);
                    options.breaks = Some(known.unwrap_or_else(|| wrong(&name)).0);
                }
                "--list" | "--skip" | "--ignored" => return None,
                "--nocapture" | "--quiet" | "-q" | "--show-output" | "--exact" => {}
                filter if !filter.starts_with('-') && "soak".contains(filter) => {}
                filter if !filter.starts_with('-') => return None,
                _ if argument.starts_with("--test-threads") || argument.starts_with("--format") => {
                }
                _ => wrong(&argument),
            }
        }
        Some(options)
    }
}

fn wrong<T>(argument: &str) -> T {
    eprintln!("soak: {argument}?\n{HELP}");
    std::process::exit(64);
}
