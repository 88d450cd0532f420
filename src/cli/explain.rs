//! `portcullis explain`: what would become of a request, and why.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use url::Url;

use super::complain::complain;
use super::recall::parse_admin;
use super::say::say;
use super::{CliError, Exit, recall, stdin};
use crate::config::{TestRequest, load};
use crate::message::terminal::{plain, plain_json};
use crate::plan::{Decided, Explanation, Question};
use crate::replay::reference;

/// What tells of a request, and so cannot stand beside the reference of one.
const OF_A_REQUEST: [&str; 7] = [
    "config", "client", "peer", "method", "headers", "stdin", "url",
];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", required_unless_present = "reference")]
    config: Option<PathBuf>,
    /// The client's address, instead of what peer and fields say
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// The TCP peer's address [default: the client's, else 127.0.0.1]
    #[arg(long, value_name = "IP")]
    peer: Option<IpAddr>,
    /// The method [default: GET]
    #[arg(long, value_name = "M")]
    method: Option<String>,
    /// A request field; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_field)]
    headers: Vec<(String, String)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Read a JSON request a line, write a JSON explanation a line
    #[arg(long, conflicts_with_all = ["client", "peer", "method", "headers", "json", "url"])]
    stdin: bool,
    /// The reference of a request that a running proxy denied
    #[arg(
        long = "ref",
        value_name = "ID",
        value_parser = reference,
        conflicts_with_all = OF_A_REQUEST
    )]
    reference: Option<String>,
    /// With --ref: where its admin listener is
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:9900",
        value_parser = parse_admin,
        requires = "reference",
        conflicts_with_all = OF_A_REQUEST
    )]
    admin: Url,
    /// With --ref: a file with the token that the listener takes
    #[arg(long, value_name = "FILE", requires = "reference", conflicts_with_all = OF_A_REQUEST)]
    token_file: Option<PathBuf>,
    /// The URL of the request
    #[arg(required_unless_present_any = ["stdin", "reference"])]
    url: Option<String>,
}

fn parse_field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a field is written `Name: value`")?;
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

pub(super) fn run(arguments: Arguments) -> Result<Exit, CliError> {
    if let Some(reference) = &arguments.reference {
        let token_file = arguments.token_file.as_deref();
        return recall::run(reference, &arguments.admin, token_file, arguments.json);
    }
    // Neither warnings nor failing tests stand in the way: this is the
    // command to find out why a test fails.
    let snapshot = match load(&arguments.config.unwrap_or_default()) {
        Ok((snapshot, _)) => snapshot,
        Err(errors) => {
            complain(errors);
            return Ok(Exit::Config);
        }
    };
    if arguments.stdin {
        return stdin::run(&snapshot);
    }
    let request = TestRequest {
        url: arguments.url.unwrap_or_default(),
        method: arguments.method,
        client: arguments.client,
        peer: arguments.peer,
        headers: arguments.headers,
    };
    let question = match Question::new(&request) {
        Ok(question) => question,
        Err(error) => {
            complain(format_args!("error: {error}"));
            return Ok(Exit::Usage);
        }
    };
    let answer = question.answer(&snapshot);
    let text = match arguments.json {
        true => plain_json(&to_json(&answer)),
        false => to_text(&answer),
    };
    say(text)?;
    Ok(Exit::Done)
}

/// The explanation as one line of JSON.
pub(super) fn to_json(answer: &Explanation) -> String {
    serde_json::to_string(answer).expect("an explanation is strings and numbers under string keys")
}

fn to_text(answer: &Explanation) -> String {
    match answer {
        Explanation::Rejected { status, error, .. } => {
            format!("reject: {status}, {}", plain(error))
        }
        Explanation::Decided(told) => decided_text(told),
    }
}

fn decided_text(told: &Decided) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match told.rule {
        Some(rule) => writeln!(text, "deny: 403, by {rule}"),
        None => writeln!(text, "forward"),
    };
    for (name, value) in [
        ("client", told.client.as_str()),
        ("from", told.client_from.as_str()),
        ("peer", told.peer.as_str()),
        ("country", told.country.as_deref().unwrap_or("-")),
        ("route", told.route.as_str()),
        ("variant", told.variant),
        ("accept", told.accept.as_deref().unwrap_or("-")),
        ("cache key", told.cache_key.as_str()),
    ] {
        let _ = writeln!(text, "  {name:<10}{}", plain(value));
    }
    text.push_str("rules\n");
    for rule in &told.rules {
        let _ = writeln!(
            text,
            "  {:<18}{:<11}{}",
            rule.rule,
            rule.outcome,
            plain(&rule.why)
        );
    }
    text.truncate(text.trim_end().len());
    text
}
