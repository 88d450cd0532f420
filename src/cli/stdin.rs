//! `explain --stdin`: a JSON request a line to a JSON explanation a line.

use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};

use super::explain::to_json;
use super::{CliError, Exit};
use crate::config::Snapshot;
use crate::plan::{Question, read_request};

/// The longest line that is read; a request is smaller by far.
const MAX_LINE: u64 = 1 << 20;

/// Explains every line of standard input; 1 if any was not a request. It ends
/// where nobody reads any more.
pub(super) fn run(snapshot: &Snapshot) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    match explain_all(snapshot, &mut exit) {
        Err(CliError::Io(_, error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit),
        other => other.map(|()| exit),
    }
}

fn explain_all(snapshot: &Snapshot, exit: &mut Exit) -> Result<(), CliError> {
    let mut input = BufReader::with_capacity(64 << 10, io::stdin().lock());
    let mut output = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let mut number = 0_u64;
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
                *exit = Exit::Failure;
                writeln!(
                    output,
                    "{}",
                    serde_json::json!({ "line": number, "error": error })
                )
            }
        };
        written.map_err(cannot_write)?;
    }
    output.flush().map_err(cannot_write)
}

fn explain(snapshot: &Snapshot, line: &[u8]) -> Result<String, String> {
    let request = read_request(line)?;
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
