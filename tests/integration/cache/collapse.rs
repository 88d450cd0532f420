//! One fetch per key, and nobody waits for what is not theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::support::{FRESH, Gate, logged, not_modified, ok, status};
use crate::support::{Client, Origin, Portcullis, eventually};

/// Waits for the gate before each head, then answers `FRESH`.
fn gated(gate: &Gate, fields: &'static str) -> Origin {
    let gate = gate.clone();
    let count = AtomicUsize::new(0);
    Origin::answered_by(move |_| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        gate.wait();
        ok(fields, &number.to_string())
    })
}

fn asking(proxy: &Portcullis, count: usize, fields: &str) -> Vec<Client> {
    let ask = |_| {
        let mut client = proxy.client();
        client.ask("GET", "/", fields);
        client
    };
    (0..count).map(ask).collect()
}

#[test]
fn a_crowd_is_one_request_to_the_origin() {
    const CROWD: usize = 100;
    let gate = Gate::default();
    let origin = gated(&gate, FRESH);
    let proxy = Portcullis::start(&origin, "");
    let mut crowd = asking(&proxy, CROWD, "");
    let open = || proxy.server.counters().sum(|w| w.connections.open.get());
    eventually("all are there", || open() == CROWD as u64);
    eventually("it is asked for", || origin.count() == 1);
    gate.open();
    for client in &mut crowd {
        assert_eq!(client.reply().text(), "1");
    }
    assert_eq!(origin.count(), 1);
    let told: Vec<_> = logged(proxy).into_iter().flatten().collect();
    assert_eq!(told.len(), CROWD);
    assert_eq!(told.iter().filter(|told| *told == "miss").count(), 1);
    assert!(told.iter().any(|told| told == "joined"), "{told:?}");
}

#[test]
fn the_leader_leaves_before_the_head_and_followers_get_the_response() {
    let gate = Gate::default();
    let origin = gated(&gate, FRESH);
    let proxy = Portcullis::start(&origin, "");
    let leader = asking(&proxy, 1, "").pop().unwrap();
    eventually("it is asked for", || origin.count() == 1);
    // A field that nobody believes is counted, which tells that it has come.
    let mut follower = asking(&proxy, 1, "X-Forwarded-For: 1.1.1.1\r\n")
        .pop()
        .unwrap();
    let come = || proxy.server.counters().sum(|w| w.requests.unbelieved.get());
    eventually("the follower waits", || come() == 1);
    leader.leave();
    let open = || proxy.server.counters().sum(|w| w.connections.open.get());
    eventually("it is noticed", || open() == 1);
    gate.open();
    assert_eq!(follower.reply().text(), "1");
    assert_eq!(origin.count(), 1);
}

/// Sends its first head when the first gate opens and that body when the
/// second does; other requests are answered when the third one opens.
fn unstorable(fields: &'static str, gates: &[Gate; 3]) -> Origin {
    let gates = gates.clone();
    let count = AtomicUsize::new(0);
    Origin::scripted(move |conversation| {
        while conversation.request().is_some() {
            let head = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\n");
            if count.fetch_add(1, Ordering::Relaxed) == 0 {
                gates[0].wait();
                conversation.say(head);
                gates[1].wait();
            } else {
                gates[2].wait();
                conversation.say(head);
            }
            conversation.say("body");
        }
    })
}

#[test]
fn nobody_waits_for_what_may_not_be_stored() {
    for (policy, fields) in [
        ("", "Cache-Control: private, max-age=600\r\n"),
        ("", "Cache-Control: no-store\r\n"),
        ("", ""),
        ("", "Cache-Control: max-age=600\r\nVary: *\r\n"),
        (
            "[cache]\nset_cookie = \"bypass\"\n",
            "Cache-Control: max-age=600\r\nSet-Cookie: a=1\r\n",
        ),
        (
            "[cache]\nmax_object = \"2 B\"\n",
            "Cache-Control: max-age=600\r\n",
        ),
    ] {
        let gates: [Gate; 3] = Default::default();
        let origin = unstorable(fields, &gates);
        let proxy = Portcullis::start(&origin, policy);
        let mut leader = asking(&proxy, 1, "").pop().unwrap();
        eventually("it is asked for", || origin.count() == 1);
        let mut followers = asking(&proxy, 3, "");
        gates[0].open();
        leader.head();
        // All of them together, while the leader's body is held back.
        eventually("they go on by themselves", || origin.count() == 4);
        // And whoever comes now is not made to wait at all.
        let mut later = asking(&proxy, 3, "");
        eventually("the key is not collapsed", || origin.count() == 7);
        gates[1].open();
        gates[2].open();
        assert_eq!(leader.take(4), b"body");
        for client in followers.iter_mut().chain(&mut later) {
            let reply = client.reply();
            assert_eq!((reply.status, reply.text()), (200, "body"), "{fields}");
            assert!(!status(&reply).hit);
        }
    }
}

/// A follower whom the response does not fit asks for its own.
#[test]
fn followers_whom_the_response_does_not_fit_go_on() {
    let gates: [Gate; 2] = Default::default();
    let inside = gates.clone();
    let origin = Origin::scripted(move |conversation| {
        while let Some(asked) = conversation.request() {
            let lang = asked.field("x-lang").unwrap_or_default();
            let fields = format!("{FRESH}Vary: X-Lang\r\n");
            let answer = ok(&fields, &lang);
            if lang == "de" {
                inside[0].wait();
                let head = answer.len() - 2;
                conversation.say(&answer[..head]);
                inside[1].wait();
                conversation.say(&answer[head..]);
            } else {
                conversation.say(answer);
            }
        }
    });
    let proxy = Portcullis::start(&origin, "");
    let mut leader = asking(&proxy, 1, "X-Lang: de\r\n").pop().unwrap();
    eventually("it is asked for", || origin.count() == 1);
    let mut same = asking(&proxy, 1, "X-Lang: de\r\n").pop().unwrap();
    let mut other = asking(&proxy, 1, "X-Lang: fr\r\n").pop().unwrap();
    gates[0].open();
    assert_eq!(
        other.reply().text(),
        "fr",
        "while the leader's is held back"
    );
    gates[1].open();
    assert_eq!((leader.reply().text(), same.reply().text()), ("de", "de"));
    assert_eq!(origin.count(), 2);
}

#[test]
fn nobody_is_left_waiting_when_the_origin_hangs_up() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::scripted(move |conversation| {
        conversation.request();
        wait.wait();
    });
    let policy = "[origin]\nurl = \"@origin@\"\nretries = 0\n";
    let proxy = Portcullis::start(&origin, policy);
    let mut crowd = asking(&proxy, 10, "");
    eventually("it is asked for", || origin.count() >= 1);
    gate.open();
    for client in &mut crowd {
        assert_eq!(client.reply().status, 502);
    }
}

/// A stored response that may not be served stale is validated once for all
/// who ask.
#[test]
fn a_validation_is_shared_too() {
    let gate = Gate::default();
    let (wait, count) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let origin = Origin::answered_by(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            return ok("Cache-Control: max-age=1\r\nETag: \"one\"\r\n", "body");
        }
        wait.wait();
        super::support::not_modified(FRESH)
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "");
    let only = "Cache-Control: only-if-cached\r\n";
    eventually("it is stale", || client.get("/", only).status == 504);
    let mut crowd = asking(&proxy, 20, "");
    eventually("it is validated", || origin.count() == 2);
    gate.open();
    for client in &mut crowd {
        assert_eq!(client.reply().text(), "body");
    }
    assert_eq!(origin.count(), 2);
}

/// Whoever waits for a validation gets what was validated only if it fits.
#[test]
fn what_is_validated_for_one_form_is_not_for_another() {
    let gate = Gate::default();
    let wait = gate.clone();
    let origin = Origin::answered_by(move |asked| {
        let lang = asked.field("x-lang").unwrap_or_default();
        if asked.field("if-none-match").is_some() {
            wait.wait();
            return not_modified(FRESH);
        }
        let fields = "Cache-Control: max-age=1\r\nETag: \"one\"\r\nVary: X-Lang\r\n";
        ok(fields, &lang)
    });
    let proxy = Portcullis::start(&origin, "");
    let german = "X-Lang: de\r\n";
    let mut client = proxy.client();
    client.get("/", german);
    let only = format!("{german}Cache-Control: only-if-cached\r\n");
    eventually("it is stale", || client.get("/", &only).status == 504);
    let mut leader = asking(&proxy, 1, german);
    eventually("it is validated", || origin.count() == 2);
    let mut follower = asking(&proxy, 1, "X-Lang: fr\r\nX-Forwarded-For: 1.1.1.1\r\n");
    let come = || proxy.server.counters().sum(|w| w.requests.unbelieved.get());
    eventually("the follower is there", || come() == 1);
    gate.open();
    assert_eq!(leader[0].reply().text(), "de");
    assert_eq!(follower[0].reply().text(), "fr");
}
