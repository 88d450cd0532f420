//! `client.proxy_protocol`: whom a trusted proxy names before the first
//! request, and what becomes of everyone else who tries.

mod haproxy;

use std::io::Write as _;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Origin, Portcullis, Program, eventually};

const WHOLE: &str = "GET /a.jpg HTTP/1.1\r\nHost: img.example.com\r\n\r\n";

const TRUSTED: &str =
    "[client]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n";

/// A header of version 1 that names an address.
fn v1(source: &str) -> Vec<u8> {
    let (family, target) = match source.contains(':') {
        true => ("TCP6", "2001:db8::1"),
        false => ("TCP4", "192.0.2.1"),
    };
    format!("PROXY {family} {source} {target} 4711 80\r\n").into_bytes()
}

/// A header of version 2.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [
        &b"\r\n\r\n\0\r\nQUIT\n"[..],
        &[command, family],
        &length,
        block,
    ]
    .concat()
}

/// One that names an IPv4 address, and has `more` bytes of TLVs.
fn v2_of(source: [u8; 4], more: usize) -> Vec<u8> {
    let addresses = [&source[..], &[192, 0, 2, 1, 0x12, 0x67, 0, 80]].concat();
    v2(0x21, 0x11, &[addresses, vec![0xe0; more]].concat())
}

/// Trusts 127.0.0.1 to say who connects; with these keys of `[server]`.
fn start(origin: &Origin, keys: &str, more: &str) -> Portcullis {
    let server = format!("[server]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n{keys}\n");
    Portcullis::start(origin, &[&server[..], TRUSTED, more].concat())
}

fn closed(portcullis: &Portcullis) -> u64 {
    let counters = portcullis.server.counters();
    counters.sum(|worker| worker.connections.no_proxy_headers.get())
}

/// Who a line of the log says that a request came from.
fn who(line: &Value) -> [&str; 3] {
    ["peer", "client", "client_from"].map(|key| line[key].as_str().unwrap())
}

/// Nothing is answered, and the connection is over.
fn refused(client: &mut Client) {
    assert_eq!(client.until_cut(), b"");
}

#[test]
fn who_is_named_is_the_peer_and_the_client() {
    let origin = Origin::ok();
    let portcullis = start(&origin, "", "");
    let by = [
        (v1("203.0.113.9"), "203.0.113.9"),
        (v1("2001:db8::9"), "2001:db8::9"),
        (v1("::ffff:203.0.113.8"), "203.0.113.8"),
        (v2_of([203, 0, 113, 7], 0), "203.0.113.7"),
        (v2_of([203, 0, 113, 6], 4096 - 12), "203.0.113.6"),
    ];
    for (header, address) in &by {
        let mut client = portcullis.client();
        // Together, and what stands behind the header is not lost.
        client.send([&header[..], WHOLE.as_bytes(), WHOLE.as_bytes()].concat());
        for _ in 0..2 {
            assert_eq!(client.reply().status, 200);
            assert_eq!(
                origin.last().field("x-forwarded-for").as_deref(),
                Some(*address)
            );
        }
        // It holds for the connection.
        assert_eq!(client.get("/b.jpg", "").status, 200);
    }
    assert_eq!(closed(&portcullis), 0);
    let lines = portcullis.stop();
    assert_eq!(lines.len(), 3 * by.len());
    for (lines, (_, address)) in lines.chunks(3).zip(&by) {
        for line in lines {
            assert_eq!(who(line), [*address, *address, "proxy_protocol"]);
        }
    }
}

#[test]
fn a_header_may_come_byte_by_byte() {
    for header in [v1("203.0.113.9"), v2_of([203, 0, 113, 9], 40)] {
        let origin = Origin::ok();
        let portcullis = start(&origin, "", "");
        let mut client = portcullis.client();
        for byte in [&header[..], WHOLE.as_bytes()].concat() {
            client.send([byte]);
        }
        assert_eq!(client.reply().status, 200);
        let mut halves = portcullis.client();
        let (first, second) = header.split_at(header.len() / 2);
        halves.send(first);
        // Another one is served meanwhile.
        let mut other = portcullis.client();
        other.send(&header);
        assert_eq!(other.get("/", "").status, 200);
        halves.send([second, WHOLE.as_bytes()].concat());
        assert_eq!(halves.reply().status, 200);
        let named = origin.asked();
        assert_eq!(named.len(), 3);
        for asked in named {
            let client = asked.field("x-forwarded-for");
            assert_eq!(client.as_deref(), Some("203.0.113.9"));
        }
    }
}

#[test]
fn rules_judge_whom_it_names() {
    let policy = "[access.ip]\nblock = [\"203.0.113.0/24\"]\nexempt = [\"198.51.100.7\"]\n\
                  [access.user_agent]\nblock = [\"bad\"]\n";
    let portcullis = start(&Origin::ok(), "", policy);
    let status = |source: &str| {
        let mut client = portcullis.client();
        client.send(v1(source));
        client.get("/", "User-Agent: bad\r\n").status
    };
    assert_eq!(status("198.51.100.7"), 200, "exempt");
    assert_eq!(status("198.51.100.8"), 403);
    assert_eq!(status("203.0.113.9"), 403);
    let lines = portcullis.stop();
    let rules: Vec<&Value> = lines.iter().map(|line| &line["rule"]).collect();
    assert_eq!(json!(rules), json!([null, "user_agent.block", "ip.block"]));
}

#[test]
fn the_fields_of_a_stranger_are_not_believed() {
    let origin = Origin::ok();
    let portcullis = start(&origin, "", "");
    let forged = "X-Forwarded-For: 192.0.2.66\r\nX-Forwarded-Proto: https\r\n";
    let mut client = portcullis.client();
    client.send(v1("203.0.113.9"));
    assert_eq!(client.get("/", forged).status, 200);
    let asked = origin.only();
    assert_eq!(asked.field("x-forwarded-for").unwrap(), "203.0.113.9");
    assert_eq!(asked.field("x-forwarded-proto").unwrap(), "http");
    let lines = portcullis.stop();
    let address = "203.0.113.9";
    assert_eq!(who(&lines[0]), [address, address, "proxy_protocol"]);
    assert_eq!(lines[0]["forwarded"], "192.0.2.66");
}

/// A CDN that sends X-Forwarded-For, behind which a balancer sends PROXY.
#[test]
fn the_fields_of_a_proxy_that_is_named_are() {
    let origin = Origin::ok();
    let portcullis = start(&origin, "", "");
    let mut client = portcullis.client();
    client.send(v2_of([10, 0, 0, 7], 0));
    let fields = "X-Forwarded-For: 192.0.2.66, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
    assert_eq!(client.get("/", fields).status, 200);
    let asked = origin.last();
    assert_eq!(
        asked.field("x-forwarded-for").unwrap(),
        "203.0.113.9, 10.0.0.7"
    );
    assert_eq!(asked.field("x-forwarded-proto").unwrap(), "https");
    assert_eq!(client.get("/", "").status, 200);
    assert_eq!(origin.last().field("x-forwarded-for").unwrap(), "10.0.0.7");
    let unnamed = portcullis
        .server
        .counters()
        .sum(|worker| worker.requests.unnamed.get());
    assert_eq!(unnamed, 1);
    let lines = portcullis.stop();
    assert_eq!(
        who(&lines[0]),
        ["10.0.0.7", "203.0.113.9", "x-forwarded-for"]
    );
    assert_eq!(who(&lines[1]), ["10.0.0.7", "10.0.0.7", "proxy_protocol"]);
}

#[test]
fn without_an_address_it_is_the_proxy_and_its_fields_are_anyones() {
    let policy =
        "[access.ip]\nexempt = [\"127.0.0.0/8\"]\n[access.user_agent]\nblock = [\"bad\"]\n";
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 203.0.113.9 192.0.2.1 1 2\r\n".to_vec(),
        v2(0x20, 0x00, b""),
        v2(0x20, 0x11, &[203; 12]),
        v2(0x21, 0x00, b""),
        v2(0x21, 0x31, &[b'/'; 216]),
    ] {
        let origin = Origin::ok();
        let portcullis = start(&origin, "", policy);
        let mut client = portcullis.client();
        client.send(&header);
        let forged = "X-Forwarded-For: 192.0.2.66\r\nX-Forwarded-Proto: https\r\n";
        assert_eq!(client.get("/", forged).status, 200, "{header:?}");
        let asked = origin.only();
        assert_eq!(asked.field("x-forwarded-for").unwrap(), "127.0.0.1");
        assert_eq!(asked.field("x-forwarded-proto").unwrap(), "http");
        assert_eq!(client.get("/", "User-Agent: bad\r\n").status, 403);
        let mistakes = portcullis
            .server
            .counters()
            .sum(|worker| worker.requests.unnamed.get() + worker.requests.unbelieved.get());
        assert_eq!(mistakes, 0, "a balancer's own checks are none");
        drop(client);
        let lines = portcullis.stop();
        assert_eq!(who(&lines[0]), ["127.0.0.1", "127.0.0.1", "peer"]);
    }
}

#[test]
fn a_stranger_names_nobody() {
    let policy = "[client]\nproxy_protocol = true\ntrusted_proxies = [\"192.0.2.1\"]\n";
    for header in [v1("203.0.113.9"), v2_of([203, 0, 113, 9], 0)] {
        let origin = Origin::ok();
        let portcullis = Portcullis::start(&origin, policy);
        let mut client = portcullis.client();
        client.send([&header[..], WHOLE.as_bytes()].concat());
        assert_eq!(client.reply().status, 400);
        assert_eq!(client.rest(), b"");
        assert_eq!(portcullis.client().get("/", "").status, 200, "plain HTTP");
        assert_eq!((origin.count(), closed(&portcullis)), (1, 0));
        for line in portcullis.stop() {
            assert_eq!(line["peer"], "127.0.0.1");
        }
    }
}

#[test]
fn of_a_trusted_proxy_it_is_required() {
    let origin = Origin::ok();
    let portcullis = start(&origin, "", "");
    let bad = [
        WHOLE.as_bytes().to_vec(),
        b"\r\nPROXY UNKNOWN\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.9\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\n".to_vec(),
        [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        v2(0x21, 0x44, &[0; 12]),
        v2(0x21, 0x11, &[0; 11]),
        v2(0x20, 0x00, &[0; 4097]),
    ];
    for (count, bytes) in (1..).zip(&bad) {
        let mut client = portcullis.client();
        // It may be closed on before everything is sent.
        let _ = client.stream.write_all(bytes);
        let _ = client.stream.write_all(WHOLE.as_bytes());
        refused(&mut client);
        eventually("counted", || closed(&portcullis) == count);
    }
    assert_eq!(origin.count(), 0);
    assert_eq!(portcullis.stop().len(), 0);
}

#[test]
fn the_operator_is_told() {
    let policy = format!("{TRUSTED}[admin]\nlisten = \"127.0.0.1:0\"\n");
    let mut program = Program::start(&Origin::ok(), &policy);
    let mut client = program.client();
    refused(client.ask("GET", "/", ""));
    let said = program.says("client.proxy_protocol");
    for part in ["127.0.0.1", "it does not begin with a PROXY header"] {
        assert!(said.contains(part), "{said}");
    }
    let page = Client::connect(program.admin()).get("/metrics", "");
    let line = "\nportcullis_connections_ended_total{reason=\"proxy_protocol\"} 1\n";
    assert!(page.text().contains(line), "{}", page.text());
}

/// The second is a client's, who poses as one that is named.
#[test]
fn there_is_one_header() {
    let origin = Origin::ok();
    let portcullis = start(&origin, "", "");
    for second in [v1("198.51.100.7"), v2_of([198, 51, 100, 7], 0)] {
        let mut client = portcullis.client();
        client.send([&v1("203.0.113.9")[..], &second, WHOLE.as_bytes()].concat());
        assert_eq!(client.reply().status, 400);
    }
    assert_eq!(origin.count(), 0);
    for line in portcullis.stop() {
        assert_eq!(line["peer"], "203.0.113.9");
    }
}

#[test]
fn it_has_its_time() {
    let portcullis = start(&Origin::ok(), "header_timeout = \"1s\"", "");
    let begun = Instant::now();
    let mut silent = portcullis.client();
    let mut dripping = portcullis.client();
    // Each byte buys no time.
    for byte in v1("203.0.113.9").iter().take(25) {
        let _ = dripping.stream.write_all(&[*byte]);
        std::thread::sleep(Duration::from_millis(100));
    }
    refused(&mut dripping);
    refused(&mut silent);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(closed(&portcullis), 2);
}

#[test]
fn the_first_head_has_its_own_time() {
    let portcullis = start(&Origin::ok(), "header_timeout = \"3s\"", "");
    let header = v1("203.0.113.9");
    let [mut late, mut slow, mut nothing] = [(); 3].map(|()| portcullis.client());
    slow.send([&header[..], b"GET / HT"].concat());
    nothing.send(&header);
    late.send(&header[..9]);
    std::thread::sleep(Duration::from_secs(2));
    late.send(&header[9..]);
    std::thread::sleep(Duration::from_secs(2));
    late.send(WHOLE);
    assert_eq!(late.reply().status, 200);
    assert_eq!(slow.reply().status, 408);
    refused(&mut nothing);
    let counters = portcullis.server.counters();
    let silent = counters.sum(|worker| worker.connections.silent_closed.get());
    assert_eq!((silent, closed(&portcullis)), (1, 0));
    for line in portcullis.stop() {
        assert_eq!(line["peer"], "203.0.113.9", "also of the 408");
    }
}

#[test]
fn a_bare_connection_is_a_check_and_half_a_header_is_not() {
    let portcullis = start(&Origin::ok(), "", "");
    let open = || {
        let counters = portcullis.server.counters();
        counters.sum(|worker| worker.connections.open.get())
    };
    drop(portcullis.client());
    portcullis.client().leave();
    eventually("both are gone", || open() == 0);
    assert_eq!(closed(&portcullis), 0);
    let mut half = portcullis.client();
    half.send("PROXY TCP4 203.0.");
    half.stream.shutdown(Shutdown::Write).unwrap();
    refused(&mut half);
    assert_eq!(closed(&portcullis), 1);
    // The end of the client's side right behind a request.
    let mut whole = portcullis.client();
    whole.send([&v1("203.0.113.9")[..], WHOLE.as_bytes()].concat());
    whole.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(whole.reply().status, 200);
}

#[test]
fn who_has_not_begun_does_not_hold_up_a_stop() {
    let portcullis = start(&Origin::ok(), "header_timeout = \"1h\"", "");
    let mut waiting = portcullis.client();
    let mut served = portcullis.client();
    served.send(v1("203.0.113.9"));
    assert_eq!(served.get("/", "").status, 200);
    drop(served);
    eventually("admitted", || {
        let counters = portcullis.server.counters();
        counters.sum(|worker| worker.connections.accepted.get()) == 2
    });
    let counters = portcullis.server.counters().clone();
    let asked = Instant::now();
    portcullis.finish();
    assert!(asked.elapsed() < Duration::from_secs(20));
    refused(&mut waiting);
    let told = counters.sum(|worker| worker.connections.no_proxy_headers.get());
    assert_eq!(told, 0, "nothing is wrong with it");
}

#[test]
fn a_new_value_is_for_new_connections() {
    let off = TRUSTED.replace("true", "false");
    let portcullis = Portcullis::start(&Origin::ok(), &off);
    let mut old = portcullis.client();
    let named = "X-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(old.get("/", named).status, 200);
    portcullis.swap(|snapshot| snapshot.client.proxy_protocol = true);
    assert_eq!(old.get("/", named).status, 200);
    let mut new = portcullis.client();
    new.send(v1("203.0.113.8"));
    assert_eq!(new.get("/", named).status, 200);
    let lines = portcullis.stop();
    let found: Vec<[&str; 3]> = lines.iter().map(who).collect();
    let by_field = ["127.0.0.1", "203.0.113.9", "x-forwarded-for"];
    let by_header = ["203.0.113.8", "203.0.113.8", "proxy_protocol"];
    assert_eq!(found, [by_field, by_field, by_header]);
}
