//! What is asked of this bench.

use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Counts instructions, allocations and system calls of one request of each kind.

usage: benches/instructions/run [OPTIONS]

  --only NAME      count this kind alone (may be given more than once)
  --profile NAME   show where the instructions and allocations of a kind are
  --rows N         of each table of --profile (40)
  --callers NAME   with --profile: who calls this function, by what it costs there;
                   * stands for anything
  --update         keep the figures in last.json and last.md
  --check          end with 1 if a kind takes over 5 % more instructions than last
  --binary PATH    count this build
  --verbose        show every batch
  --help           this

Kinds: 403, 304, hit-1k, hit-10k, hit-100k, hit-1m, forward-1k, forward-10k,
forward-100k, forward-1m, store-1k (a miss that is stored); each also with +log
behind it: with the access log written to a file. Needs valgrind, and strace for
system calls. PORTCULLIS_COUNTRY_MMDB names a real country database.
";

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
    only: Vec<String>,
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
