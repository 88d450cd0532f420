//! Whatever bytes a client sends.

use std::io::Read as _;
use std::net::Shutdown;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{WHOLE, open};
use crate::support::{Origin, Portcullis, eventually};

/// Pieces of HTTP, whole and broken.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let heads = [
        WHOLE,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
        "HEAD http://a/ HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\nConnection: close\n\n",
        "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n",
    ];
    prop_oneof![
        4 => prop::sample::select(heads.to_vec()).prop_map(|head| head.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

/// The bytes, and where they are changed and split.
type Stream = (
    Vec<Vec<u8>>,
    Vec<(prop::sample::Index, u8)>,
    Vec<prop::sample::Index>,
    bool,
);

fn streams() -> impl Strategy<Value = Stream> {
    (
        prop::collection::vec(pieces(), 1..6),
        prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..3),
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        any::<bool>(),
    )
}

#[test]
fn whatever_comes_is_answered_or_closed_and_the_next_is_served() {
    let times = ["header", "idle", "stall"].map(|name| format!("{name}_timeout = \"100ms\"\n"));
    let toml = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n{}[origin]\nurl = \"@origin@\"\nresponse_timeout = \"1s\"\n",
        times.concat()
    );
    let portcullis = Portcullis::start(&Origin::ok(), &toml);
    let cases = std::env::var("PROPTEST_CASES").map_or(48, |cases| cases.parse().unwrap());
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    };
    let outcome = TestRunner::new(config).run(&streams(), |(pieces, changes, splits, half)| {
        let mut bytes = pieces.concat();
        for (at, byte) in changes.iter().filter(|_| !pieces.concat().is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let mut splits: Vec<usize> = splits.iter().map(|at| at.index(bytes.len() + 1)).collect();
        splits.extend([0, bytes.len()]);
        splits.sort_unstable();
        let mut client = portcullis.client();
        for part in splits.windows(2) {
            // It may have been closed already.
            let _ = std::io::Write::write_all(&mut client.stream, &bytes[part[0]..part[1]]);
            std::thread::yield_now();
        }
        if half {
            let _ = client.stream.shutdown(Shutdown::Write);
        }
        let mut said = Vec::new();
        let end = client.stream.read_to_end(&mut said);
        let timed_out = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        prop_assert!(!timed_out, "neither answered nor closed: {said:?}");
        prop_assert!(said.is_empty() || said.starts_with(b"HTTP/1."), "{said:?}");
        prop_assert_eq!(portcullis.client().get("/", "").status, 200);
        Ok(())
    });
    outcome.unwrap();
    eventually("all closed", || open(&portcullis) == 0);
}
