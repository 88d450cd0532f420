//! Image variants in the cache (section 7).

use super::support::{FRESH, is_hit, ok, status};
use crate::support::{Origin, Portcullis};

const WEBP: &str = "Accept: image/webp,*/*\r\n";
const AVIF: &str = "Accept: image/avif,image/webp,*/*\r\n";
const BOTH: &str = "[images]\nformats = [\"webp\", \"avif\"]\n";

fn image(format: &str) -> String {
    ok(&format!("{FRESH}Content-Type: image/{format}\r\n"), format)
}

/// An origin that always sends the same format.
fn ignorant(format: &'static str) -> Origin {
    Origin::answered_by(move |_| image(format))
}

/// An origin that sends the best format it is asked for, of those it has.
fn able(formats: &'static [&'static str]) -> Origin {
    Origin::answered_by(move |asked| {
        let accept = asked.field("accept").unwrap_or_default();
        let best = formats.iter().find(|format| accept.contains(*format));
        image(best.unwrap_or(&"png"))
    })
}

#[test]
fn what_an_origin_that_ignores_accept_sends_is_stored_once() {
    let origin = ignorant("png");
    let proxy = Portcullis::start(&origin, BOTH);
    let mut client = proxy.client();
    assert_eq!(client.get("/a.png", WEBP).text(), "png");
    assert!(
        is_hit(&mut client, "/a.png", WEBP),
        "whoever asked finds it"
    );
    assert!(
        is_hit(&mut client, "/a.png", ""),
        "and so does the original"
    );
    assert_eq!(origin.count(), 1);
    // One more kind of client costs one request, and takes nothing from the others.
    assert!(!is_hit(&mut client, "/a.png", AVIF));
    for accept in [AVIF, WEBP, ""] {
        assert!(is_hit(&mut client, "/a.png", accept), "{accept}");
    }
    assert_eq!(origin.count(), 2);
    // An original says nothing about what the origin has for others.
    client.get("/b.png", "");
    assert!(!is_hit(&mut client, "/b.png", WEBP));
    assert!(is_hit(&mut client, "/b.png", WEBP));
    assert!(is_hit(&mut client, "/b.png", ""));
    assert_eq!(origin.count(), 4);
}

#[test]
fn each_variant_is_stored_beside_the_others() {
    let origin = able(&["avif", "webp"]);
    let proxy = Portcullis::start(&origin, BOTH);
    let mut client = proxy.client();
    for hit in [false, true] {
        for (fields, format) in [
            (AVIF, "avif"),
            (WEBP, "webp"),
            ("", "png"),
            ("Accept: a/b\r\n", "png"),
        ] {
            let reply = client.get("/a.png", fields);
            assert_eq!(reply.text(), format);
            let told = status(&reply);
            assert!(told.hit == hit || fields.contains("a/b"), "{format}");
            assert_eq!(reply.field("vary").as_deref(), Some("Accept"));
        }
    }
    assert_eq!(origin.count(), 3);
}

/// The promise of section 7, whatever the origin sends and in any order.
#[test]
fn a_webp_made_for_a_variant_never_reaches_an_original() {
    let origin = ignorant("webp");
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    assert_eq!(client.get("/a.png", WEBP).text(), "webp");
    assert!(is_hit(&mut client, "/a.png", WEBP));
    for count in [2, 3] {
        // The origin's own word is passed on, but not from storage.
        let told = status(&client.get("/a.png", ""));
        assert!(!told.hit && !told.stored, "{told:?}");
        assert_eq!(origin.count(), count);
    }
    assert!(is_hit(&mut client, "/a.png", WEBP));
    // An original that the origin sends as WebP is kept where the name says so.
    client.get("/a.WebP", "");
    assert!(is_hit(&mut client, "/a.WebP", ""));
    // Nor to who only says that anything goes.
    assert!(!is_hit(&mut client, "/a.png", "Accept: image/*,*/*\r\n"));
    assert!(!is_hit(&mut client, "/a.png", "Accept: image/webp;q=0\r\n"));
}

#[test]
fn a_format_that_was_not_promised_stands_under_what_it_is() {
    let origin = ignorant("webp");
    let proxy = Portcullis::start(&origin, BOTH);
    let mut client = proxy.client();
    client.get("/a.png", AVIF);
    assert!(is_hit(&mut client, "/a.png", AVIF), "who asked finds it");
    assert!(is_hit(&mut client, "/a.png", WEBP), "it is under its type");
    assert!(!is_hit(&mut client, "/a.png", ""));
    let origin = ignorant("avif");
    let proxy = Portcullis::start(&origin, BOTH);
    let mut client = proxy.client();
    client.get("/a.png", WEBP);
    assert!(is_hit(&mut client, "/a.png", WEBP));
    assert!(is_hit(&mut client, "/a.png", AVIF));
    assert!(!is_hit(&mut client, "/a.png", ""));
}

#[test]
fn the_type_is_read_as_a_type() {
    for (kind, original) in [
        ("image/webp", false),
        ("IMAGE/WEBP; charset=x", false),
        ("image/png", true),
        ("image/webpx", true),
        ("text/html", true),
    ] {
        let fields = format!("{FRESH}Content-Type: {kind}\r\n");
        let origin = Origin::answered_by(move |_| ok(&fields, "x"));
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        client.get("/a.png", WEBP);
        assert_eq!(is_hit(&mut client, "/a.png", ""), original, "{kind}");
    }
}

#[test]
fn vary_is_told_and_merged_on_hits_too() {
    let fields = format!("{FRESH}Vary: X-Lang\r\n");
    let origin = Origin::answered_by(move |_| ok(&fields, "x"));
    let clients = "[images]\n[[images.clients]]\nuser_agents = [\"App\"]\naccept = \"image/webp,*/*;q=0.8\"\n";
    for (policy, vary) in [
        ("", "x-lang, accept"),
        (clients, "x-lang, accept, user-agent"),
        ("[images]\nformats = []\n", "x-lang"),
    ] {
        let proxy = Portcullis::start(&origin, policy);
        let mut client = proxy.client();
        for fields in ["", WEBP, "", WEBP, "If-None-Match: *\r\n"] {
            let reply = client.get("/a.png", fields);
            let lines = reply.head.lines().filter_map(|line| line.split_once(": "));
            let told = lines.filter(|(name, _)| *name == "vary");
            let told: Vec<_> = told.map(|(_, value)| value.to_lowercase()).collect();
            assert_eq!(told.join(", "), vary, "{fields}");
        }
    }
}

#[test]
fn the_variant_stands_for_accept_and_where_clients_are_named_for_user_agent() {
    let vary = |fields: &'static str| {
        let fields = format!("{FRESH}Vary: {fields}\r\n");
        Origin::answered_by(move |_| ok(&fields, "x"))
    };
    let clients = "[images]\n[[images.clients]]\nuser_agents = [\"App\"]\naccept = \"image/webp,*/*;q=0.8\"\n";
    for (policy, path, field, hit) in [
        ("", "/a.png", "Accept", true),
        ("", "/a.css", "Accept", false),
        ("", "/a.png", "User-Agent", false),
        (clients, "/a.png", "User-Agent", true),
        (clients, "/a.css", "User-Agent", false),
    ] {
        let proxy = Portcullis::start(&vary(field), policy);
        let mut client = proxy.client();
        client.get(path, &format!("{field}: text/one\r\n"));
        let again = is_hit(&mut client, path, &format!("{field}: text/two\r\n"));
        assert_eq!(again, hit, "{path} by {field}");
    }
}

#[test]
fn a_client_that_is_named_shares_with_those_that_say_so() {
    let origin = able(&["webp"]);
    let policy = "[images]\n[[images.clients]]\nuser_agents = [\"App\"]\naccept = \"image/webp,*/*;q=0.8\"\n";
    let proxy = Portcullis::start(&origin, policy);
    let mut client = proxy.client();
    assert_eq!(client.get("/a.png", WEBP).text(), "webp");
    assert!(is_hit(&mut client, "/a.png", "User-Agent: App/1\r\n"));
    assert!(!is_hit(&mut client, "/a.png", "User-Agent: Other\r\n"));
    assert_eq!(client.get("/a.png", "User-Agent: Other\r\n").text(), "png");
    assert_eq!(client.get("/a.png", "User-Agent: App/1\r\n").text(), "webp");
}

/// A crowd that asks for different variants of one URL at once: each gets its
/// own format.
#[test]
fn variants_are_not_joined_to_one_another() {
    let gate = super::support::Gate::default();
    let wait = gate.clone();
    let origin = Origin::answered_by(move |asked| {
        wait.wait();
        let webp = asked.field("accept").unwrap().contains("webp");
        image(if webp { "webp" } else { "png" })
    });
    let proxy = Portcullis::start(&origin, "");
    let mut crowd: Vec<_> = (0..20)
        .map(|number| {
            let mut client = proxy.client();
            let webp = number % 2 == 0;
            client.ask("GET", "/a.png", if webp { WEBP } else { "" });
            (client, if webp { "webp" } else { "png" })
        })
        .collect();
    crate::support::eventually("it is asked for", || origin.count() >= 1);
    gate.open();
    for (client, format) in &mut crowd {
        assert_eq!(client.reply().text(), *format);
    }
}
