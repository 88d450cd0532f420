//! What two requests must not share, and what must not get past the key.

use super::{EVIL, attacked, echoing, told};
use crate::cache::support::{FRESH, is_hit, ok, status};
use crate::support::{Origin, Portcullis};

/// Defence: fields that name another host, path, scheme, method or client are
/// never passed on (section 4), so that no origin can act on them unkeyed.
#[test]
fn unkeyed_fields_that_an_origin_might_believe() {
    for name in [
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Scheme",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-Prefix",
        "X-Forwarded-Path",
        "X-Forwarded-For",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Host",
        "X-Real-IP",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "Proxy",
        "X_Forwarded_Host",
        "X-Forwarded_Host",
        "X.Forwarded.Host",
        "Upgrade",
        "TE",
        "Expect",
        "Trailer",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Keep-Alive",
        "Accept-Encoding",
        "X-Cache-Key",
    ] {
        let policy = "[cache_key]\nfield = \"x-cache-key\"\n";
        for fields in [
            format!("{name}: {EVIL}\r\n"),
            format!("{name}: a\r\n{name}: {EVIL}\r\n"),
        ] {
            let told = attacked(policy, &fields);
            assert!(!told.contains(EVIL), "{fields}{told}");
        }
    }
    let forwarded = attacked("", "Forwarded: for=1.1.1.1;host=evil;proto=https\r\n");
    assert!(!forwarded.contains(EVIL) && !forwarded.contains("proto=https"));
}

/// Defence: `Host`, framing, `Authorization` and `Cookie` cannot be named
/// away, what can is gone before anything is worked out from it, and what we
/// add is added after that (section 4).
#[test]
fn fields_named_by_connection() {
    let told = attacked(
        "[cache_key]\nfield = \"x-cache-key\"\n",
        "Connection: close, X-Evil, Host, X-Forwarded-Host, X-Forwarded-Proto, X-Cache-Key, Accept-Encoding, \
         Cookie, Via\r\nX-Evil: evil\r\nCookie: a=1\r\n",
    );
    for kept in [
        "\r\nhost: img.example.com\r\n",
        "\r\nx-forwarded-host: img.example.com\r\n",
        "\r\nx-forwarded-proto: http\r\n",
        "\r\nx-cache-key: http://img.example.com/ original\r\n",
        "\r\naccept-encoding: identity\r\n",
        "\r\ncookie: a=1\r\n",
        "\r\nvia: ",
    ] {
        assert!(told.to_lowercase().contains(kept), "{kept:?} in {told}");
    }
    assert!(!told.contains(EVIL));
}

/// Defence: variant, `Vary` and `Origin` are read from the same fields as the
/// origin gets, after those that Connection names are gone.
#[test]
fn a_field_named_away_is_no_part_of_the_key_either() {
    let origin = Origin::answered_by(|asked| {
        let webp = asked.field("accept").is_some_and(|a| a.contains("webp"));
        let lang = asked.field("x-lang").unwrap_or_default();
        let allow = asked.field("origin").unwrap_or("nobody".to_owned());
        let kind = if webp { "webp" } else { "png" };
        let fields = format!(
            "{FRESH}Vary: X-Lang\r\nContent-Type: image/{kind}\r\nAccess-Control-Allow-Origin: {allow}\r\n"
        );
        ok(&fields, &format!("{kind} {lang} {allow}"))
    });
    let proxy = Portcullis::start(&origin, "");
    let mut client = proxy.client();
    let attack = "Connection: Accept, X-Lang, Origin\r\nAccept: image/webp\r\nX-Lang: evil\r\nOrigin: https://evil\r\n";
    assert_eq!(client.get("/a.png", attack).text(), "png  nobody");
    let plain = client.get("/a.png", "");
    assert!(status(&plain).hit && plain.text() == "png  nobody");
    let whole = "Accept: image/webp\r\nX-Lang: de\r\nOrigin: https://a\r\n";
    assert_eq!(client.get("/a.png", whole).text(), "webp de https://a");
}

/// Defence: the origin is asked for exactly the target that is in the key
/// (section 8), so that a dropped parameter cannot carry another along.
#[test]
fn parameters_are_not_cloaked() {
    let drop = "[cache_key]\ndrop = [\"utm_*\", \"cb\"]\n";
    let only = "[cache_key]\nonly = [\"q\"]\n";
    let none = "[cache_key]\nquery = \"drop\"\n";
    for (policy, attack) in [
        (drop, "/?q=1&utm_x=1;q=evil"),
        (drop, "/?utm_x=1;q=evil&q=1"),
        (drop, "/?q=1&utm%5Fx=evil"),
        (drop, "/?q=1&%75tm_x=evil"),
        (drop, "/?q=1&&utm_x=evil&"),
        (drop, "/?q=1&cb=%26q=evil"),
        (drop, "/?q=1&cb=1%00q=evil"),
        (drop, "/?q=1#&q=evil"),
        (only, "/?q=1&x=evil"),
        (only, "/?x;q=evil&q=1"),
        (only, "/?q=1&Q=evil"),
        (none, "/?q=evil"),
    ] {
        let (_origin, proxy) = echoing(policy);
        let mut client = proxy.client();
        let (code, first) = told(&mut client, "a", attack);
        let (_, victim) = told(&mut client, "a", "/?q=1");
        assert!(!victim.contains(EVIL), "{attack}: {victim}");
        assert!(
            code == 400 || victim == first,
            "{attack} is the same key: {first}"
        );
    }
}

/// Defence: what is not dropped is keyed as it stands, split at `&` only; no
/// two spellings that an origin may read differently are one key.
#[test]
fn what_an_origin_may_read_differently_is_another_key() {
    for policy in [
        "",
        "[cache_key]\ndrop = [\"utm_*\"]\n",
        "[cache_key]\nquery = \"sort\"\n",
    ] {
        let (_origin, proxy) = echoing(policy);
        let mut client = proxy.client();
        for attack in [
            "/?q=1&q=evil",
            "/?q=evil&q=1",
            "/?q=1;q=evil",
            "/?q=1%26q=evil",
            "/?q=1&UTM_x=evil",
            "/?q[]=evil&q=1",
            "/?%71=evil&q=1",
            "/?q=1&q%00=evil",
            "/?Q=evil",
            "/;q=evil?q=1",
        ] {
            told(&mut client, "a", attack);
            let (_, victim) = told(&mut client, "a", "/?q=1");
            assert!(!victim.contains(EVIL), "{attack}: {victim}");
            assert!(
                victim.starts_with("GET /?q=1 HTTP/1.1\r\n"),
                "{attack}: {victim}"
            );
        }
    }
}

/// Defence: the path is normalised once, and that path is matched, keyed and
/// asked for (section 5). Whoever shares a victim's key had the origin asked
/// for the victim's path.
#[test]
fn no_spelling_of_a_path_takes_the_place_of_another() {
    let (_origin, proxy) = echoing("");
    let mut client = proxy.client();
    for (number, spelling) in [
        "/x/../V",
        "/x/%2e%2e/V",
        "/x/%2E./V",
        "/x/..%2fV",
        "/x%2f..%2fV",
        "/x/..;/V",
        "/x/..%5cV",
        "/x\\..\\V",
        "//V",
        "/.//V",
        "/V/.",
        "/V/",
        "/V//",
        "/V%2f",
        "/V;x",
        "/V;/x/..",
        "/V%3bx",
        "/V%23",
        "/V%3f",
        "/V%20",
        "/V.",
        "/V%2e",
        "/\\V",
        "/%5cV",
        "/%252e%252e/V",
        "/V%00",
        "/V%0d%0aX-Evil:%20evil",
        "/V%0a",
        "/V%c0%af",
        "/%56",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("V{number}");
        let attack = spelling
            .replace('V', &name)
            .replace("%56", &format!("%56{number}"));
        let (code, first) = told(&mut client, "a", &attack);
        let (_, victim) = told(&mut client, "a", &format!("/{name}"));
        let line = format!("GET /{name} HTTP/1.1\r\n");
        assert!(victim.starts_with(&line), "{attack}: {victim}");
        assert!(!victim.contains(EVIL), "{attack}: {victim}");
        let same = first.starts_with(&line);
        assert!(
            code != 200 || same || first.starts_with("GET /"),
            "{attack}: {first}"
        );
    }
}

/// Defence: host and port are normalised once for key, `Host` and
/// `X-Forwarded-Host`; a port that is not the scheme's own is a part of them.
#[test]
fn hosts_and_ports_are_keyed_as_the_origin_is_told_them() {
    let (origin, proxy) = echoing("");
    let mut client = proxy.client();
    let (_, first) = told(&mut client, "img.example.com", "/");
    for same in [
        "IMG.Example.com",
        "img.example.com.",
        "img.example.com:80",
        "IMG.example.com.:80",
    ] {
        assert_eq!(told(&mut client, same, "/").1, first, "{same}");
    }
    assert_eq!(origin.count(), 1);
    assert!(first.contains("\r\nhost: img.example.com\r\n"), "{first}");
    for other in [
        "img.example.com:1337",
        "img.example.com:443",
        "img.example.com.evil",
    ] {
        let (code, text) = told(&mut client, other, "/");
        assert_eq!(code, 200, "{other}");
        assert_ne!(text, first, "{other}");
    }
    for refused in [
        "img.example.com:80@evil",
        "evil@img.example.com",
        "img.example.com, evil",
        "img.example.com:x",
        "img.example.com/evil",
    ] {
        client.send(format!("GET / HTTP/1.1\r\nHost: {refused}\r\n\r\n"));
        assert_eq!(client.reply().status, 400, "{refused}");
        client = proxy.client();
    }
    assert_eq!(told(&mut client, "img.example.com", "/").1, first);
}

/// Defence: there is one host, and the scheme is the connection's, never the
/// target's (section 5).
#[test]
fn the_absolute_form_chooses_neither_scheme_nor_another_host() {
    let (origin, proxy) = echoing("");
    let mut client = proxy.client();
    let mut ask = |target: &str, host: &str| {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let reply = client.reply();
        if reply.status != 200 {
            client = proxy.client();
        }
        reply
    };
    let attack = ask("https://img.example.com/", "img.example.com");
    let victim = ask("/", "img.example.com");
    assert!(status(&victim).hit, "the scheme makes no other key");
    assert_eq!(victim.text(), attack.text());
    assert!(victim.text().contains("x-forwarded-proto: http\r\n"));
    assert_eq!(ask("http://evil.example/", "img.example.com").status, 400);
    assert_eq!(ask("http://img.example.com/", "evil.example").status, 400);
    assert_eq!(
        ask("http://u:p@img.example.com/", "img.example.com").status,
        400
    );
    assert_eq!(ask("/", "img.example.com").text(), victim.text());
    assert_eq!(origin.count(), 1);
}

/// Defence: a URL is one key whatever it contains; line ends and blanks stay
/// encoded or are refused, so that none gets into a field or ends a key early.
#[test]
fn line_ends_and_blanks_in_a_url_do_not_split_anything() {
    let (origin, proxy) = echoing("[cache_key]\nfield = \"x-cache-key\"\n");
    let mut client = proxy.client();
    for attack in [
        "/?a=%0d%0aX-Evil:%20evil",
        "/?a=%0D%0A%0D%0Aevil",
        "/a.png%20webp",
        "/a.png?%20webp",
        "/%E5%98%8A%E5%98%8DX-Evil:evil",
    ] {
        let reply = client.get(attack, "");
        assert!(!reply.head.contains(EVIL), "{attack}: {}", reply.head);
        if reply.status != 200 {
            assert_eq!(reply.status, 400);
            continue;
        }
        let asked = origin.last();
        assert_eq!(asked.field("x-evil"), None);
        assert!(asked.field("x-cache-key").unwrap().ends_with(" original"));
    }
    let webp = "Accept: image/webp\r\n";
    assert!(
        !is_hit(&mut client, "/a.png", webp),
        "the variant is not in the URL"
    );
}
