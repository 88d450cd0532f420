//! `portcullis health`: whether a running proxy is well, for container health
//! checks.

use url::Url;

use super::complain::complain;
use super::say::say;
use super::{CliError, Exit, ask};

/// The command line of `health`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What to ask; an http URL on the admin listener. Without a path: /readyz
    #[arg(long, default_value = "http://127.0.0.1:9900/readyz", value_parser = parse)]
    url: Url,
}

/// Asks, and says in a line what came of it.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, CliError> {
    let url = &arguments.url;
    let ill = match ask::get(url, None) {
        Ok(answer) if matches!(answer.status, 200..300) => {
            say(format_args!("{url}: {}", answer.line()))?;
            return Ok(Exit::Done);
        }
        Ok(answer) => format!("{} {}", answer.status, answer.line()),
        Err(unanswered) => unanswered.to_string(),
    };
    complain(format_args!("portcullis: {url}: {ill}"));
    Ok(Exit::Failure)
}

fn parse(text: &str) -> Result<Url, String> {
    let mut url = ask::parse(text, "http://127.0.0.1:9900/readyz")?;
    if url.path() == "/" {
        url.set_path("/readyz");
    }
    Ok(url)
}
