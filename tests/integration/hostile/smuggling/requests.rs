//! Requests in the bytes of a client, for a reader behind us.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::time::Duration;

use super::grammar::{Attack, Numbers, attack};
use super::origin::Recorder;
use super::readers::{self, LENIENT};
use super::strict::{self, Message, Oddity, Side, Stop};
use super::{KIND, rounds};
use crate::support::{Portcullis, tried};

/// Nothing is asked twice, and a part of the paths is denied.
const POLICY: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n\
    [origin]\nurl = \"@origin@\"\nretries = 0\n\
    [access.user_agent]\nblock = [\"bad\"]\n\
    [[route]]\nname = \"denied\"\npaths = [\"/denied/**\"]\n[route.access.ip]\nblock = [\"127.0.0.1\"]\n";

/// How the bytes of an attack are spread over reads.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// So the first head may be a plain one.
    Whole,
    /// In two, where a reader might stop.
    Split,
    /// Each by itself, more or less.
    Single,
}

/// What has been seen of a proxy and its origin.
pub(super) struct Stage {
    pub(super) recorder: Recorder,
    pub(super) portcullis: Portcullis,
    /// The requests that were answered.
    answered: usize,
    numbers: Numbers,
}

impl Stage {
    fn new() -> Self {
        let recorder = Recorder::start();
        let portcullis = Portcullis::start(&recorder.origin, POLICY);
        // So that each attack finds it stored.
        let first = portcullis.client().get("/kept/a.jpg", "Host: a.test\r\n");
        drop(first);
        Self {
            recorder,
            portcullis,
            answered: 1,
            numbers: Numbers(super::seed()),
        }
    }

    /// All that a client gets for these bytes.
    fn send(&mut self, attack: &Attack, way: Way) -> Vec<u8> {
        let mut stream = self.portcullis.client().stream;
        let parts: Vec<&[u8]> = match way {
            Way::Whole => vec![&attack.bytes],
            Way::Split => {
                let at = self.numbers.pick(&attack.joints);
                vec![&attack.bytes[..at], &attack.bytes[at..]]
            }
            Way::Single => attack.bytes.chunks(1).collect(),
        };
        for (index, part) in parts.iter().enumerate() {
            // It may have been closed, which is an answer too.
            if index > 0 && matches!(way, Way::Split) {
                std::thread::sleep(Duration::from_millis(1));
            }
            if stream.write_all(part).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answers) {
            let shown = attack.bytes.escape_ascii();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{shown}");
        }
        answers
    }

    /// One attack, and that everybody has seen the same requests.
    fn play(&mut self, attack: &Attack, way: Way) -> Result<(), String> {
        let before = self.recorder.count();
        let answers = self.send(attack, way);
        let replies = read(&answers)?;
        self.answered += replies.len();
        let asked = self.recorder.since(before);
        let passed: Vec<&Message> = replies
            .iter()
            .filter(|reply| number(reply).is_some_and(|number| number >= before))
            .collect();
        if passed.len() != asked.len() {
            return Err(format!("{} answers to {asked:#?}", passed.len()));
        }
        for (index, (reply, request)) in passed.iter().zip(&asked).enumerate() {
            let own = request.target().contains(&attack.tag) || request.target() == "/kept/a.jpg";
            if number(reply) != Some(before + index) || !own {
                return Err(format!("{request:?} was answered by {reply:?}"));
            }
        }
        meant(&attack.bytes, &replies, &asked, before)
    }
}

fn number(reply: &Message) -> Option<usize> {
    reply.value("x-number")?.parse().ok()
}

/// The final responses, each of which is one for every reader.
fn read(mut bytes: &[u8]) -> Result<Vec<Message>, String> {
    let mut found = Vec::new();
    loop {
        let reply = match strict::response(bytes, "GET") {
            Err(Stop::End) => return Ok(found),
            Ok((reply, length)) if has_its_body(&reply) => Ok((reply, length)),
            // It may be one to HEAD, of which a length tells nothing.
            _ => strict::response(bytes, "HEAD"),
        };
        let shown = |stop| format!("{stop:?}: {}", bytes.escape_ascii());
        let (reply, length) = reply.map_err(shown)?;
        bytes = &bytes[length..];
        if !reply.line.starts_with("HTTP/1.1 1") {
            found.push(reply);
        }
    }
}

/// Whether a body is the origin's, or the text of one of our own answers: else
/// it is the next response, and this one was to a HEAD.
fn has_its_body(reply: &Message) -> bool {
    let start = match reply.value("x-method") {
        Some(method) => format!("{method} /"),
        None => reply.line[13..].to_owned(),
    };
    reply.body.is_empty() || reply.body.starts_with(start.as_bytes())
}

/// That the origin's requests are the client's, as far as those are such, and
/// that after what is odd there comes nothing.
fn meant(
    bytes: &[u8],
    replies: &[Message],
    asked: &[Message],
    before: usize,
) -> Result<(), String> {
    let (meant, _, stop) = strict::requests(bytes, Side::Client);
    for (reply, meant) in replies.iter().zip(&meant) {
        let Some(asked) = number(reply).and_then(|number| asked.get(number.wrapping_sub(before)))
        else {
            continue;
        };
        if asked.method() != meant.method() || asked.body != meant.body {
            return Err(format!("{meant:?} arrived as {asked:?}"));
        }
    }
    let Some(first) = replies.get(meant.len()) else {
        return Ok(());
    };
    let refused = first.line.as_bytes()[9] >= b'4' && replies.len() == meant.len() + 1;
    match stop {
        Stop::Odd(Oddity::BareLf | Oddity::EmptyLine | Oddity::SpeltLength | Oddity::Trailers) => {
            Ok(())
        }
        Stop::Odd(Oddity::BothLengths) if replies.len() == meant.len() + 1 => Ok(()),
        _ if refused || is_about_one(first) => Ok(()),
        stop => Err(format!("{stop:?} was read as {replies:#?}")),
    }
}

/// Whether it refuses a request whose end is known.
fn is_about_one(reply: &Message) -> bool {
    reply.value("portcullis-ref").is_some()
}

fn try_all(name: &str, attacks: std::ops::Range<usize>, way: Way) {
    let mut stage = Stage::new();
    let count = attacks.len();
    let mut failed = Vec::new();
    for number in attacks {
        let attack = attack(number);
        if let Err(why) = stage.play(&attack, way) {
            failed.push(format!("{number}: {}\n{why}", attack.bytes.escape_ascii()));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {count}:\n{}",
        failed.len(),
        failed[..failed.len().min(10)].join("\n\n")
    );
    for stream in stage.recorder.streams() {
        agree(&stream);
    }
    let (answered, asked) = (stage.answered, stage.recorder.count());
    let lines = stage.portcullis.stop();
    assert_eq!(lines.len(), answered, "{name}: lines in the log");
    assert!(
        asked > count / 10 && answered > count / 2,
        "{asked} {answered}"
    );
    tried(KIND, count);
}

/// What reaches an origin on each connection of these attacks.
pub(super) fn streams(attacks: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    let mut stage = Stage::new();
    for number in attacks {
        let attack = attack(number);
        let shown = attack.bytes.escape_ascii();
        assert_eq!(stage.play(&attack, Way::Whole), Ok(()), "{shown}");
    }
    stage.recorder.streams()
}

/// That whoever reads a stream to the origin finds the same requests in it.
pub(super) fn agree(stream: &[u8]) {
    let (strict, _, stop) = strict::requests(stream, Side::Origin);
    assert!(!matches!(stop, Stop::Odd(_)), "{}", stream.escape_ascii());
    let gist: Vec<_> = strict.iter().map(Message::gist).collect();
    for liberties in LENIENT {
        let lenient = readers::requests(stream, liberties);
        let lenient: Vec<_> = lenient.iter().map(Message::gist).collect();
        assert!(lenient == gist, "{liberties:?}: {}", stream.escape_ascii());
    }
}

#[test]
fn in_one_piece() {
    try_all("whole", 0..1500 * rounds(), Way::Whole);
}

#[test]
fn in_two_pieces() {
    try_all("split", 100_000..100_000 + 1000 * rounds(), Way::Split);
}

#[test]
fn byte_by_byte() {
    try_all("single", 200_000..200_000 + 300 * rounds(), Way::Single);
}
