//! What is asked of this bench.

use std::path::PathBuf;

pub(crate) const HELP: &str = include_str!("help.txt");

/// What to do.
pub(crate) enum Wish {
    Help,
    /// Only check the answers: what `cargo test --benches` asks for.
    Answers,
    Profile(String),
    Count,
}

pub(crate) struct Arguments {
    pub(crate) wish: Wish,
    pub(crate) binary: PathBuf,
    pub(crate) update: bool,
    pub(crate) check: bool,
    pub(crate) verbose: bool,
    pub(crate) rows: usize,
    /// The function whose callers are asked for.
    pub(crate) callers: Option<String>,
    /// Names of kinds; empty: all.
    pub(crate) only: Vec<String>,
}

impl Arguments {
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            wish: Wish::Answers,
            binary: env!("CARGO_BIN_EXE_portcullis").into(),
            update: false,
            check: false,
            verbose: false,
            rows: 40,
            callers: None,
            only: Vec::new(),
        };
        let mut is_short = false;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--bench" if matches!(arguments.wish, Wish::Answers) => {
                    arguments.wish = Wish::Count
                }
                "--bench" => {}
                "--test" => is_short = true,
                "--help" | "-h" => arguments.wish = Wish::Help,
                "--profile" => arguments.wish = Wish::Profile(value()?),
                "--callers" => arguments.callers = Some(value()?),
                "--only" => arguments.only.push(value()?),
                "--binary" => arguments.binary = value()?.into(),
                "--rows" => {
                    arguments.rows = value()?.parse().map_err(|_| "--rows needs a number")?
                }
                "--update" => arguments.update = true,
                "--check" => arguments.check = true,
                "--verbose" => arguments.verbose = true,
                _ => return Err(format!("{word} is not known\n\n{HELP}")),
            }
        }
        if is_short {
            arguments.wish = Wish::Answers;
        }
        Ok(arguments)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}
