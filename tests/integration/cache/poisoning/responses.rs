//! Responses that an attacker provokes, or that are meant for one client.

use crate::cache::support::{FRESH, ago, ok, response, status};
use crate::support::{Origin, Portcullis};

/// Defence: 400, 431 and the like are never fresh by heuristics, nor for more
/// than 10 s (section 9).
#[test]
fn an_oversized_field_makes_no_lasting_error() {
    for (code, fields) in [
        (400, ""),
        (400, "Cache-Control: public, max-age=3600\r\n"),
        (413, "Cache-Control: max-age=3600\r\n"),
        (431, "Expires: Fri, 01 Jan 2100 00:00:00 GMT\r\n"),
        (400, "CDN-Cache-Control: max-age=3600\r\n"),
        (400, "Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT\r\n"),
    ] {
        let origin = Origin::answered_by(move |asked| match asked.head.len() > 8192 {
            true => response(&format!("{code} No"), fields, "no"),
            false => ok(FRESH, "body"),
        });
        let policy = "[cache]\ndefault_ttl = \"1h\"\n";
        let proxy = Portcullis::start(&origin, policy);
        let mut client = proxy.client();
        let long = format!("X-Long: {}\r\n", "x".repeat(10_000));
        assert_eq!(client.get("/", &long).status, code);
        let victim = client.get("/", "");
        let told = status(&victim);
        match told.hit {
            false => assert_eq!(victim.text(), "body", "{code} {fields}"),
            true => assert!(told.ttl.unwrap() <= 10, "{code} {fields}: {told:?}"),
        }
    }
}

/// Defence: answers of our own are never stored (section 9).
#[test]
fn what_is_refused_here_is_not_stored() {
    let origin = Origin::answered_by(|_| ok(FRESH, "body"));
    let proxy = Portcullis::start(&origin, "");
    for (attack, expected) in [
        (format!("X-Long: {}\r\n", "x".repeat(40_000)), &[431][..]),
        ("X-Many: 1\r\n".repeat(150), &[431]),
        ("X-Control: \u{7}\r\n".to_owned(), &[400]),
        ("Content-Length: x\r\n".to_owned(), &[400]),
        ("Host: evil\r\n".to_owned(), &[400]),
    ] {
        let mut attacker = proxy.client();
        let (code, _) = attacker.ask("GET", "/", &attack).head();
        assert!(expected.contains(&code), "{code}");
        let victim = proxy.client().get("/", "");
        assert_eq!((victim.status, victim.text()), (200, "body"));
    }
    let mut attacker = proxy.client();
    assert_eq!(attacker.ask("TRACE", "/", "").reply().status, 405);
    assert_eq!(proxy.client().get("/", "").status, 200);
}

/// Defence: Set-Cookie is not kept with a stored response (section 9), nor
/// taken from a 304.
#[test]
fn nobody_gets_anothers_cookie() {
    let origin = Origin::answered_by(|asked| match asked.field("if-none-match") {
        None => ok(
            "Cache-Control: max-age=1\r\nAge: 5\r\nETag: \"e\"\r\nSet-Cookie: id=first\r\nSet-Cookie2: id=first\r\n",
            "body",
        ),
        Some(_) => format!("HTTP/1.1 304 No\r\n{FRESH}Set-Cookie: id=second\r\n\r\n"),
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    assert!(client.get("/", "").head.contains("set-cookie: id=first"));
    client.get("/", "");
    let third = client.get("/", "");
    assert!(status(&third).hit);
    assert!(!third.head.contains("set-cookie"), "{}", third.head);
}

/// Defence: whether a response is stored goes by its Cache-Control and never
/// by the extension of its path; nothing is fresh by heuristics that was
/// fetched with a cookie (section 9).
#[test]
fn a_page_under_an_assets_name_is_not_stored_for_another() {
    for fields in [
        "Cache-Control: private\r\n".to_owned(),
        "Cache-Control: no-store\r\n".to_owned(),
        "Cache-Control: no-cache\r\n".to_owned(),
        "Cache-Control: max-age=0, must-revalidate\r\n".to_owned(),
        format!("Last-Modified: {}\r\n", ago(1000)),
        "Set-Cookie: a=1\r\n".to_owned(),
        String::new(),
    ] {
        let origin = Origin::answered_by(move |asked| match asked.field("cookie") {
            Some(_) => ok(&format!("{fields}Content-Type: text/html\r\n"), "secret"),
            None => response("401 No", "", "who are you"),
        });
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        for path in [
            "/account.php/x.css",
            "/account.php;x.css",
            "/account%3Bx.css",
            "/account.php%2Fx.css",
            "/account.php%23x.css",
            "/account.php%3Fx.css",
            "/account/x.jpg",
            "/account.jpg",
            "/account/..%2fx.css",
        ] {
            let victim = client.get(path, "Cookie: session=1\r\n");
            assert!(victim.status == 400 || victim.text() == "secret", "{path}");
            let attacker = client.get(path, "");
            assert_ne!(attacker.text(), "secret", "{path}");
        }
    }
}

/// Defence: a response without `Access-Control-Allow-Origin: *` fits only the
/// `Origin` that it was fetched with (section 9).
#[test]
fn a_reflected_origin_reaches_nobody_else() {
    let origin = Origin::answered_by(|asked| {
        let line = asked.field("origin").map_or(String::new(), |origin| {
            format!("Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n")
        });
        ok(&format!("{FRESH}{line}"), "x")
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    client.get("/", "Origin: https://evil.example\r\n");
    let good = client.get("/", "Origin: https://good.example\r\n");
    let allowed = good.field("access-control-allow-origin");
    assert_eq!(allowed.as_deref(), Some("https://good.example"));
    let none = client.get("/", "");
    assert_eq!(none.field("access-control-allow-origin"), None);
    client.get("/b", "");
    let late = client.get("/b", "Origin: https://good.example\r\n");
    assert!(
        late.field("access-control-allow-origin").is_some(),
        "not locked out either"
    );
}

/// Defence: what `Vary` names is compared, and what it names twice or oddly
/// spelled too (RFC 9111 section 4.1).
#[test]
fn what_varies_is_compared_however_it_is_named() {
    for vary in [
        "Vary: x-lang",
        "Vary: X-LANG",
        "Vary: a,, ,x-lang",
        "Vary: a\r\nVary: x-lang",
        "Vary:\r\nVary: ,x-lang,",
    ] {
        let origin = Origin::answered_by(move |asked| {
            let lang = asked.field("x-lang").unwrap_or_default();
            ok(&format!("{FRESH}{vary}\r\n"), &lang)
        });
        let proxy = Portcullis::start(&origin, "");
        let mut client = proxy.client();
        client.get("/", "X-Lang: evil\r\n");
        assert_eq!(client.get("/", "X-Lang: de\r\n").text(), "de", "{vary}");
        assert_eq!(client.get("/", "").text(), "", "{vary}");
    }
}

/// Defence: an entry is fetched and compared with its origin's URL and route;
/// one host's answer is nothing to another's, whatever the origin says.
#[test]
fn a_response_cannot_name_the_key_it_is_stored_under() {
    let origin = Origin::answered_by(|asked| {
        let fields = format!("{FRESH}Content-Location: /victim\r\nLocation: /victim\r\n");
        ok(&fields, asked.target())
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    assert_eq!(client.get("/attack", "").text(), "/attack");
    assert_eq!(client.get("/victim", "").text(), "/victim");
}
