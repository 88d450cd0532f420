//! The keys of `[cache]` and `[route.cache]`.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Origin, Portcullis, Program, Reply, eventually};

const FRESH: &str = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 2\r\n\r\nok";

/// Stale when it comes, and without anything to validate it by.
const STALE: &str =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=1\r\nAge: 5\r\nContent-Length: 2\r\n\r\nok";

/// How often an origin that always answers so is asked for the same thing
/// that a client gets twice.
fn asked_twice(policy: &str, answer: &'static str, path: &str) -> usize {
    let origin = Origin::answering(answer);
    let portcullis = Portcullis::start(&origin, policy);
    let mut client = portcullis.client();
    assert_eq!(client.get(path, "").status, client.get(path, "").status);
    origin.asked().len()
}

#[test]
fn cache_memory() {
    // 2.5 MB in ten objects, each got twice.
    let asked = |memory: &str| {
        let body = "x".repeat(250_000);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: 250000\r\n\r\n{body}"
        );
        let origin = Origin::scripted(move |conversation| {
            while conversation.request().is_some() {
                conversation.say(&answer);
            }
        });
        let policy = format!("[cache]\nmemory = \"{memory}\"\n");
        let portcullis = Portcullis::start(&origin, &policy);
        let mut client = portcullis.client();
        for round in 0..20 {
            let reply = client.get(&format!("/{}", round % 10), "");
            assert_eq!((reply.status, reply.body.len()), (200, 250_000));
            // Without a cache there is no such step.
            assert_eq!(reply.field("cache-status").is_some(), memory != "0");
        }
        origin.asked().len()
    };
    assert_eq!(asked("8 MiB"), 10);
    assert!(asked("1 MiB") > 10, "it cannot have kept all ten");
    assert_eq!(asked("0"), 20);
}

#[test]
fn the_start_tells_the_bound_of_the_memory() {
    for (memory, told) in [
        ("memory = \"32 MiB\"", "cache=\"32 MiB\""),
        ("memory = \"0\"", "cache=\"off\""),
        ("", "cache=\"128 MiB\""),
    ] {
        let program = Program::start(&Origin::ok(), &format!("[cache]\n{memory}\n"));
        assert!(program.started.contains(told), "{}", program.started);
    }
}

#[test]
fn a_new_bound_of_the_memory_needs_a_restart() {
    let mut program = Program::start(&Origin::ok(), "[cache]\nmemory = \"2 MiB\"\n");
    program.edit("2 MiB", "3 MiB");
    program.signal("HUP");
    program.says("cache.memory has changed, which takes a restart");
}

#[test]
fn cache_max_object() {
    let chunked = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nTransfer-Encoding: chunked\r\n\r\n\
                   1\r\no\r\n1\r\nk\r\n0\r\n\r\n";
    for answer in [FRESH, chunked] {
        let asked = |most: &str| {
            let policy = format!("[cache]\nmax_object = \"{most}\"\n");
            asked_twice(&policy, answer, "/a")
        };
        assert_eq!((asked("2 B"), asked("1 B")), (1, 2), "{answer}");
    }
}

#[test]
fn cache_default_ttl() {
    let silent = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    let told = "HTTP/1.1 200 OK\r\nCache-Control: max-age=0\r\nContent-Length: 2\r\n\r\nok";
    for (ttl, answer, asked) in [
        ("0s", silent, 2),
        ("1h", silent, 1),
        ("1h", missing, 2),
        ("1h", told, 2),
    ] {
        let policy = format!("[cache]\ndefault_ttl = \"{ttl}\"\n");
        assert_eq!(asked_twice(&policy, answer, "/a"), asked, "{ttl} {answer}");
    }
}

/// An origin that answers [`STALE`] once, and then as `next` says, or never.
fn once(next: Option<&'static str>) -> Origin {
    let first = AtomicBool::new(true);
    Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            match next {
                _ if first.swap(false, Ordering::Relaxed) => conversation.say(STALE),
                Some(next) => conversation.say(next),
                None => {}
            }
        }
    })
}

/// What a client gets that asks `origin` until it has been asked for a second
/// time, in the first answers and in the last; the first one is left out.
fn until_asked_again(origin: &Origin, policy: &str) -> Vec<Reply> {
    let policy = format!(
        "[origin]\nurl = \"@origin@\"\nresponse_timeout = \"200ms\"\nretries = 0\n[cache]\n{policy}\n"
    );
    let portcullis = Portcullis::start(origin, &policy);
    let mut client = portcullis.client();
    assert_eq!(client.get("/a", "").text(), "ok");
    let mut replies = Vec::new();
    eventually("the origin is asked again", || {
        replies.push(client.get("/a", ""));
        origin.asked().len() > 1
    });
    replies
}

#[test]
fn cache_stale_while_revalidate() {
    // Who waits for this origin waits in vain.
    let last = |window: &str| {
        let policy = format!("stale_while_revalidate = \"{window}\"");
        until_asked_again(&once(None), &policy).pop().unwrap()
    };
    assert_eq!(last("0s").status, 504);
    let served = last("1h");
    assert_eq!((served.status, served.text()), (200, "ok"));
    let age: u64 = served.field("age").unwrap().parse().unwrap();
    assert!((5..60).contains(&age), "{age}");
}

#[test]
fn cache_stale_if_error() {
    let broken = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno";
    for next in [Some(broken), None] {
        let last = |window: &str| {
            let policy = format!("stale_if_error = \"{window}\"");
            until_asked_again(&once(next), &policy).pop().unwrap()
        };
        let failed = last("0s").status;
        assert_eq!(failed, if next.is_some() { 503 } else { 504 });
        let served = last("1h");
        assert_eq!((served.status, served.text()), (200, "ok"));
    }
}

#[test]
fn cache_set_cookie() {
    let answer = "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok";
    for (mode, asked, cookie) in [
        ("strip", 1, None),
        ("keep", 1, Some("a=b")),
        ("bypass", 2, Some("a=b")),
    ] {
        let origin = Origin::answering(answer);
        let policy = format!("[cache]\nset_cookie = \"{mode}\"\n");
        let portcullis = Portcullis::start(&origin, &policy);
        let mut client = portcullis.client();
        client.get("/a", "");
        let second = client.get("/a", "");
        assert_eq!(second.field("set-cookie").as_deref(), cookie, "{mode}");
        assert_eq!(origin.asked().len(), asked, "{mode}");
    }
}

#[test]
fn route_cache_enabled() {
    let silent = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let asked = |table: &str, answer, path: &str| {
        let policy = format!(
            "[cache]\ndefault_ttl = \"1h\"\n[[route]]\nname = \"own\"\npaths = [\"/own/**\"]\ncache = {{ {table} }}\n"
        );
        asked_twice(&policy, answer, path)
    };
    assert_eq!(asked("enabled = false", FRESH, "/own/a"), 2);
    assert_eq!(asked("enabled = false", FRESH, "/a"), 1);
    assert_eq!(asked("max_object = \"1 B\"", FRESH, "/own/a"), 2);
    assert_eq!(asked("max_object = \"1 B\"", FRESH, "/a"), 1);
    // It replaces the top level's whole.
    assert_eq!(asked("enabled = true", silent, "/own/a"), 2);
    assert_eq!(asked("default_ttl = \"2h\"", silent, "/own/a"), 1);
    assert_eq!(asked("enabled = true", silent, "/a"), 1);
}
