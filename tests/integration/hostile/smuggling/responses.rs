//! Responses in the bytes of an origin, for the client and for who comes next:
//! one answer to each request, and the same one for every reader.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::answers::{self, Answer};
use super::readers::{self, LENIENT};
use super::strict::{self, Message, Stop};
use super::{KIND, rounds};
use crate::support::{Conversation, Origin, Portcullis, eventually, tried};

const POLICY: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nstall_timeout = \"2s\"\n\
    [origin]\nurl = \"@origin@\"\nresponse_timeout = \"2s\"\nretries = 0\n\
    [access]\ndownstream = \"public\"\n";

/// An origin that answers what it is told to, and to `/next` what it was asked.
struct Stage {
    portcullis: Portcullis,
    answer: Arc<Mutex<Answer>>,
    /// How often it was given to its end.
    said: Arc<AtomicUsize>,
    /// How many are giving it.
    saying: Arc<AtomicUsize>,
    /// Kept, since it answers as long as it is there.
    _origin: Origin,
}

impl Stage {
    fn new() -> Self {
        let answer = Arc::new(Mutex::new(answers::answer(0)));
        let [said, saying] = [(); 2].map(|()| Arc::<AtomicUsize>::default());
        let (told, counts) = (Arc::clone(&answer), [&said, &saying].map(Arc::clone));
        let origin = Origin::scripted(move |conversation| converse(conversation, &told, &counts));
        Self {
            portcullis: Portcullis::start(&origin, POLICY),
            answer,
            said,
            saying,
            _origin: origin,
        }
    }

    /// The answer for one client, who asks again, and for others after it.
    fn play(&self, number: usize) -> Result<(), String> {
        let answer = answers::answer(number);
        *self.answer.lock().unwrap() = answer.clone();
        let first = answer.method;
        let body = match first {
            "POST" => "Content-Length: 4\r\n\r\nbody",
            _ => "\r\n",
        };
        let next = |part: usize| {
            format!("GET /next/{number}.{part} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        };
        let fields = answer.fields;
        let request = format!("{first} /{number} HTTP/1.1\r\nHost: a\r\n{fields}{body}");
        // What the first one left would be met by the second.
        let (request, methods) = match answer.late {
            true => (request, &[first][..]),
            false => (request + &next(1), &[first, "GET"][..]),
        };
        let said = self.said.load(Ordering::Acquire);
        let seen = self.ask(&request);
        eventually("all is said", || {
            let said = self.said.load(Ordering::Acquire) > said || is_ours(&seen);
            said && self.saying.load(Ordering::Acquire) == 0
        });
        let other = self.ask(&next(2));
        check(&seen, methods, number)?;
        check(&other, &["GET"], number)?;
        if !other.ends_with(format!("answer to /next/{number}.2").as_bytes()) {
            return Err(format!("the next client got {}", other.escape_ascii()));
        }
        // And whoever gets it from the store.
        let again = format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n");
        let (again, methods) = match answer.late {
            true => (again, &["GET"][..]),
            false => (again + &next(3), &["GET", "GET"][..]),
        };
        let seen = self.ask(&again);
        eventually("nobody says anything", || {
            self.saying.load(Ordering::Acquire) == 0
        });
        check(&seen, methods, number)
    }

    /// All that comes for this; a cut is an end, too.
    fn ask(&self, request: &str) -> Vec<u8> {
        let mut stream: TcpStream = self.portcullis.client().stream;
        stream.write_all(request.as_bytes()).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let (mut seen, mut part) = (Vec::new(), [0; 8192]);
        loop {
            match stream.read(&mut part) {
                Ok(0) => return seen,
                Ok(length) => seen.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return seen,
                Err(error) => panic!("neither answered nor closed: {error}"),
            }
        }
    }
}

fn converse(
    conversation: &mut Conversation,
    told: &Mutex<Answer>,
    [said, saying]: &[Arc<AtomicUsize>; 2],
) {
    while let Some(asked) = conversation.request() {
        if asked.target().starts_with("/next/") {
            let body = format!("answer to {}", asked.target());
            let length = body.len();
            conversation.say(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
            ));
            continue;
        }
        let answer = told.lock().unwrap().clone();
        saying.fetch_add(1, Ordering::AcqRel);
        for (index, part) in answer.parts.iter().enumerate() {
            if index > 0 {
                std::thread::sleep(Duration::from_micros(300));
            }
            conversation.say(part);
        }
        said.fetch_add(1, Ordering::AcqRel);
        saying.fetch_sub(1, Ordering::AcqRel);
        // Whoever waits for more of it is to see that there is none.
        let limit = Some(Duration::from_millis(3));
        conversation.stream.set_read_timeout(limit).unwrap();
    }
}

/// Whether the origin may not have been asked at all.
fn is_ours(seen: &[u8]) -> bool {
    String::from_utf8_lossy(seen).contains("portcullis-ref")
}

/// That every reader finds the same responses, no more of them than requests,
/// and in none's place what was in the body of another.
fn check(seen: &[u8], methods: &[&str], number: usize) -> Result<(), String> {
    let shown = || seen.escape_ascii().to_string();
    let strict = read(seen, methods).map_err(|stop| format!("{stop:?}: {}", shown()))?;
    for message in &strict {
        if message.fields.iter().any(|(name, _)| name == "x-evil") {
            return Err(format!("a part of a body is a response: {}", shown()));
        }
    }
    if let Some(last) = strict
        .iter()
        .filter(|m| !is_interim(m))
        .nth(methods.len() - 1)
        && methods.len() > 1
    {
        let body = String::from_utf8_lossy(&last.body);
        let failed = last.value("portcullis-ref").is_some();
        if !body.starts_with(&format!("answer to /next/{number}.")) && !failed {
            return Err(format!("the second request got {}", shown()));
        }
    }
    let gist: Vec<_> = strict.iter().map(Message::gist).collect();
    for liberties in LENIENT {
        let lenient = readers::responses(seen, methods, liberties);
        let lenient: Vec<_> = lenient.iter().map(Message::gist).collect();
        if lenient != gist {
            return Err(format!(
                "{liberties:?} reads {lenient:?}, not {gist:?}: {}",
                shown()
            ));
        }
    }
    Ok(())
}

/// The whole responses to requests by these methods, interim ones included;
/// the last one may be cut.
fn read(mut bytes: &[u8], methods: &[&str]) -> Result<Vec<Message>, Stop> {
    let (mut found, mut next) = (Vec::new(), 0);
    loop {
        let Some(method) = methods.get(next) else {
            return match bytes {
                [] => Ok(found),
                _ => Err(Stop::Odd(strict::Oddity::Other)),
            };
        };
        match strict::response(bytes, method) {
            Ok((message, length)) => {
                bytes = &bytes[length..];
                next += usize::from(!is_interim(&message));
                found.push(message);
            }
            Err(Stop::End | Stop::Within) => return Ok(found),
            Err(stop) => return Err(stop),
        }
    }
}

fn is_interim(message: &Message) -> bool {
    message.line.starts_with("HTTP/1.1 1")
}

#[test]
fn answers_of_an_origin() {
    let stage = Stage::new();
    let count = 600 * rounds();
    let failed: Vec<_> = (0..count)
        .filter_map(|number| {
            let why = stage.play(number).err()?;
            Some(format!("{number}: {}\n{why}", answers::answer(number)))
        })
        .collect();
    let shown = failed[..failed.len().min(10)].join("\n\n");
    assert!(failed.is_empty(), "{} of {count}:\n{shown}", failed.len());
    tried(KIND, count);
}

/// Where the origin and we may differ about the end of a response, whatever
/// comes next on that connection is not believed, however late it comes.
#[test]
fn a_connection_with_two_lengths_carries_no_other_request() {
    let cases = [
        (
            "GET",
            "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "GET",
            "Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n",
        ),
        (
            "POST",
            "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "HEAD",
            "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        ("HEAD", "Content-Length: 2, 9\r\n\r\n"),
        ("HEAD", "Content-Length: 2\r\nContent-Length: 9\r\n\r\n"),
        ("HEAD", "Content-Length: x\r\n\r\n"),
        ("GET", "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    ];
    for (number, (method, rest)) in cases.into_iter().enumerate() {
        let answer = format!("HTTP/1.1 200 OK\r\n{rest}");
        let origin = Origin::scripted(move |conversation| {
            while conversation.request().is_some() {
                conversation.say(&answer);
            }
        });
        let portcullis = Portcullis::start(&origin, POLICY);
        let body = if method == "POST" {
            "Content-Length: 2\r\n\r\nok"
        } else {
            "\r\n"
        };
        for _ in 0..2 {
            let mut client = portcullis.client();
            let head = format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
            let reply = client.send(head + body).rest();
            assert!(
                reply.starts_with(b"HTTP/1.1 200 "),
                "{}",
                reply.escape_ascii()
            );
        }
        let asked = origin.asked();
        let apart = asked[0].connection != asked[1].connection;
        assert_eq!(apart, number + 1 < cases.len(), "{method} {rest}");
    }
    tried(KIND, cases.len() - 1);
}

/// Zeros in front are octal for some.
#[test]
fn a_length_is_written_in_one_way() {
    for (told, written) in [
        ("03", "3"),
        ("0000000000000000000000003", "3"),
        ("3, 3", "3"),
    ] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: {told}\r\n\r\nabc"
        );
        let origin = Origin::scripted(move |conversation| {
            while conversation.request().is_some() {
                conversation.say(&answer);
            }
        });
        let portcullis = Portcullis::start(&origin, POLICY);
        let mut client = portcullis.client();
        for _ in 0..2 {
            let reply = client.get("/", "");
            assert_eq!(
                reply.field("content-length").as_deref(),
                Some(written),
                "{told}"
            );
            assert_eq!(reply.text(), "abc");
        }
        assert_eq!(origin.count(), 1);
    }
    tried(KIND, 3);
}
