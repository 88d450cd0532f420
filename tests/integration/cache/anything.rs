//! Whatever is asked, by many at once and in whatever order: nobody gets
//! another's response, or a part of one for the whole.

use std::net::SocketAddr;

use super::support::ok;
use crate::support::{Client, Origin, Portcullis, Reply};

/// Little of what is asked for fits, so that much is evicted.
const POLICY: &str = "[cache]\nmemory = \"2 MiB\"\nmax_object = \"200 KiB\"\n";
const CLIENTS: u64 = 8;
const REQUESTS: usize = 250;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What everyone gets for a path in a language: it says so, over and over,
/// and is the longer the higher the path's number.
fn body(path: &str, lang: &str) -> String {
    let number: usize = path[2..].split('.').next().unwrap().parse().unwrap();
    let length = number * number * number * 40;
    let text = format!("{path} {lang};");
    text.repeat(length / text.len() + 1)[..length].to_owned()
}

fn tag(path: &str, lang: &str) -> String {
    format!("\"{path} {lang}\"")
}

/// Every path has a way of its own to be cached, or not to be.
fn origin() -> Origin {
    Origin::answered_by(|asked| {
        let path = asked.target();
        let lang = asked.field("x-lang").unwrap_or_default();
        let (body, tag) = (body(path, &lang), tag(path, &lang));
        let control = match path.as_bytes()[1] {
            b'a' => "max-age=600",
            b'b' => "max-age=1",
            b'c' => "max-age=1, stale-while-revalidate=60",
            b'd' => "no-cache",
            b'e' => "private",
            _ => "no-store",
        };
        let fields = format!("Cache-Control: {control}\r\nVary: X-Lang\r\nETag: {tag}\r\n");
        if asked
            .field("if-none-match")
            .is_some_and(|known| known == tag)
        {
            return format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n");
        }
        match path.ends_with(".x") && !body.is_empty() {
            false => ok(&fields, &body),
            true => {
                let length = body.len();
                format!(
                    "HTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
                )
            }
        }
    })
}

#[test]
fn everybody_gets_what_was_asked_for() {
    let origin = origin();
    let proxy = Portcullis::start(&origin, POLICY);
    std::thread::scope(|scope| {
        for client in 1..=CLIENTS {
            let address = proxy.address;
            scope.spawn(move || ask_and_check(address, &mut Numbers(client * 0x9E37_79B9)));
        }
    });
    let asked = CLIENTS as usize * REQUESTS;
    assert!(origin.count() < asked, "some of it was cached");
}

fn ask_and_check(address: SocketAddr, numbers: &mut Numbers) {
    let mut client = Client::connect(address);
    for _ in 0..REQUESTS {
        let kind = numbers.one_of(&["a", "a", "b", "c", "d", "e", "f"]);
        let number = numbers.below(20);
        let path = format!("/{kind}{number}{}", numbers.one_of(&[".x", ".y"]));
        let lang = numbers.one_of(&["", "de", "fr"]);
        let fields = format!("X-Lang: {lang}\r\n");
        let whole = body(&path, lang);
        match numbers.below(10) {
            0 => check_head(&mut client, &path, &fields, &whole),
            1 => {
                let known = tag(&path, lang);
                let reply = client.get(&path, &format!("{fields}If-None-Match: {known}\r\n"));
                assert!(
                    reply.status == 304 || reply.text() == whole,
                    "{path} {lang}"
                );
            }
            2..=4 => {
                let from = numbers.below(whole.len() as u64 + 10) as usize;
                let fields = format!("{fields}Range: bytes={from}-{}\r\n", from + 5000);
                check_range(&client.get(&path, &fields), &whole, from);
            }
            5 => {
                client.ask("GET", &path, &fields);
                let left = std::mem::replace(&mut client, Client::connect(address));
                left.leave();
            }
            _ => {
                let reply = client.get(&path, &fields);
                assert_eq!(reply.status, 200);
                assert!(reply.text() == whole, "{path} {lang}: {}", reply.head);
            }
        }
    }
}

fn check_head(client: &mut Client, path: &str, fields: &str, whole: &str) {
    let reply = client.head_of(path, fields);
    assert_eq!(reply.status, 200);
    if let Some(length) = reply.field("content-length") {
        assert_eq!(length, whole.len().to_string(), "{path}");
    }
}

fn check_range(reply: &Reply, whole: &str, from: usize) {
    let end = whole.len().min(from + 5001);
    match reply.status {
        200 => assert!(reply.text() == whole),
        206 => {
            assert!(reply.text() == &whole[from..end], "{}", reply.head);
            let told = format!("bytes {from}-{}/{}", end - 1, whole.len());
            assert_eq!(reply.field("content-range").unwrap(), told);
        }
        416 => assert!(from >= whole.len()),
        other => panic!("{other}"),
    }
}
