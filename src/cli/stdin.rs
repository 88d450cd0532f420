//! `explain --stdin`: a JSON request a line to a JSON explanation a line.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::explain::to_json;
use super::{CliError, Exit};
use crate::config::{Snapshot, TestRequest};
use crate::plan::Question;

/// The longest line that is read; a request is smaller by far.
const MAX_LINE: u64 = 1 << 20;

/// A request a line. A field that is not one of these is a mistake.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    url: String,
    method: Option<String>,
    client: Option<IpAddr>,
    peer: Option<IpAddr>,
    #[serde(default)]
    headers: Fields,
}

/// Field lines in the order they are written.
#[derive(Debug, Default)]
struct Fields(Vec<(String, String)>);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lines;
        impl<'de> Visitor<'de> for Lines {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of field names and their values")
            }

            fn visit_unit<E>(self) -> Result<Fields, E> {
                Ok(Fields::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, values)) = map.next_entry::<String, Values>()? {
                    match values {
                        Values::One(value) => fields.0.push((name, value)),
                        Values::Several(values) => {
                            fields
                                .0
                                .extend(values.into_iter().map(|value| (name.clone(), value)));
                        }
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_any(Lines)
    }
}

/// Explains every line of standard input; 1 if any was not a request.
pub(super) fn run(snapshot: &Snapshot) -> Result<Exit, CliError> {
    let mut input = BufReader::with_capacity(64 << 10, io::stdin().lock());
    let mut output = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let (mut number, mut exit) = (0_u64, Exit::Done);
    let mut line = Vec::new();
    let cannot_write = |error| CliError::Io("write to standard output", error);
    loop {
        // Whoever waits for an answer before they ask again gets it.
        if !input.buffer().contains(&b'\n') {
            output.flush().map_err(cannot_write)?;
        }
        let complete = read_line(&mut input, &mut line)
            .map_err(|error| CliError::Io("read standard input", error))?;
        let Some(complete) = complete else { break };
        number += 1;
        let answer = match complete {
            true => explain(snapshot, &line),
            false => Err(format!("the line is longer than {MAX_LINE} bytes")),
        };
        let written = match answer {
            Ok(json) => writeln!(output, "{json}"),
            Err(error) => {
                exit = Exit::Failure;
                writeln!(
                    output,
                    "{}",
                    serde_json::json!({ "line": number, "error": error })
                )
            }
        };
        written.map_err(cannot_write)?;
    }
    output.flush().map_err(cannot_write)?;
    Ok(exit)
}

fn explain(snapshot: &Snapshot, line: &[u8]) -> Result<String, String> {
    // A derived reader would take an array for an object.
    if line.trim_ascii_start().first() != Some(&b'{') {
        return Err("a request is a JSON object, beginning with `{`".to_owned());
    }
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let request = TestRequest {
        url: line.url,
        method: line.method,
        client: line.client,
        peer: line.peer,
        headers: line.headers.0,
    };
    let question = Question::new(&request).map_err(|error| error.to_string())?;
    Ok(to_json(&question.answer(snapshot)))
}

/// Reads the next line into `line`, without its end. `None`: the input is
/// over. `Some(false)`: the line was too long and is skipped.
fn read_line(input: &mut impl io::BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    if input.by_ref().take(MAX_LINE).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(true));
    }
    if (line.len() as u64) < MAX_LINE {
        return Ok(Some(true));
    }
    input.skip_until(b'\n')?;
    Ok(Some(false))
}
