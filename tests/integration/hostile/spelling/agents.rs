//! User-Agents: programs that are blocked by a part of their name.

use super::ways::{Attack, Question};
use super::{KIND, Random, cases};
use crate::support::tried;

const POLICY: &str =
    "[cache]\nmemory = \"0\"\n[access.user_agent]\nblock = [\"BadBot\", \"scan kit\"]\n";

const AGENTS: usize = 250;

/// What may stand beside the name, or between its lines.
const NOISE: &[&[u8]] = &[
    b"",
    b"Mozilla/5.0 (",
    b") like Gecko",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"\x80",
    b"\xe2\x80\x8b",
    b"\t",
    b"  ",
    b"bad",
    b"Bot",
    b"BadBo",
    b"adBot",
    b"\xef\xbb\xbf",
    b"%42adBot",
    b"\"",
    b"\\",
    b",",
    b";",
    b"(",
    b"\xc3\xa9",
];

fn cased(random: &mut Random, name: &str) -> Vec<u8> {
    let swap = |byte: u8| byte ^ 0x20;
    name.bytes()
        .map(|byte| {
            if byte.is_ascii_alphabetic() && random.chance(40) {
                swap(byte)
            } else {
                byte
            }
        })
        .collect()
}

/// A line that has the name in it, and some more, at whatever place.
fn line(random: &mut Random) -> Vec<u8> {
    let mut line = Vec::new();
    for _ in 0..random.below(4) {
        line.extend(random.one(NOISE));
    }
    // Around the room of each way to search, and what a head may have.
    let fill = random.one(&[
        0, 0, 0, 1, 13, 240, 500, 505, 511, 512, 513, 1000, 4090, 8190, 15_000, 20_000,
    ]);
    line.extend(std::iter::repeat_n(random.one(b"xBb\xff "), fill));
    let name = random.one(&["BadBot", "scan kit"]);
    line.extend(cased(random, name));
    for _ in 0..random.below(4) {
        line.extend(random.one(NOISE));
    }
    line
}

#[test]
fn a_blocked_program_is_so_however_it_is_written() {
    let mut attack = Attack::start(POLICY);
    let mut random = Random(0x5eed_0b5e_55ed_0002);
    for _ in 0..cases(AGENTS) {
        let mut lines: Vec<Vec<u8>> = (0..random.below(4))
            .map(|_| b"Mozilla/5.0 Chrome/145.0".to_vec())
            .collect();
        let at = random.below(lines.len() + 1);
        lines.insert(at, line(&mut random));
        let name = |random: &mut Random| cased(random, "User-Agent");
        let question = lines
            .iter()
            .fold(Question::get("/a.jpg"), |question, line| {
                let name = String::from_utf8(name(&mut random)).unwrap();
                question.field(&name, line)
            });
        for status in attack.ask(&question) {
            assert_eq!(status, 403, "{question:?}");
        }
    }
    assert_eq!(attack.origin().count(), 0);
    tried(KIND, attack.tried);
}

/// What is not the name is let through, or not understood at all: never sent
/// on as the name.
#[test]
fn what_the_origin_could_join_to_a_blocked_name() {
    let mut attack = Attack::start(POLICY);
    for agent in [
        &b"Bad\r\n Bot"[..],
        b"Bad\r\n\tBot",
        b"Bad\n Bot",
        b"Bad\rBot",
        b"Bad\0Bot",
        b"Bad\x01Bot",
        b"Bad\x7fBot",
        b"BadBot\0",
        b"\0BadBot",
        b"x\r\n BadBot",
        b"BadBot\r\n x",
        b"\x0bBadBot",
        b"\x0cBadBot",
        b"BadBot\x1b",
    ] {
        let question = Question::get("/a.jpg").field("User-Agent", agent);
        for status in attack.ask(&question) {
            assert!(
                matches!(status, 0 | 400 | 403),
                "{status}: {}",
                agent.escape_ascii()
            );
        }
    }
    // Others spell a name so; by the rule it is another one.
    for agent in [
        "Bad\u{212a}it",
        "scan \u{212a}it",
        "\u{ff22}adBot",
        "Bad-Bot",
        "Bad Bot",
        "Bad\tBot",
        "BadBo\u{442}",
    ] {
        let question = Question::get("/a.jpg").field("User-Agent", agent);
        assert_eq!(attack.ask(&question), [200; 3], "{agent}");
    }
    assert_eq!(attack.received().len(), 21);
    tried(KIND, attack.tried);
}

/// A head that is too long is no way in, wherever its limit cuts it.
#[test]
fn at_the_limit_of_a_head() {
    let mut attack = Attack::by(
        crate::support::Origin::ok(),
        "max_header_bytes = \"8 KiB\"\n",
        POLICY,
    );
    for length in (7_900..8_400).step_by(9).chain([16_000, 17_000, 33_000]) {
        let agent = format!("{}BadBot", "x".repeat(length));
        let question = Question::get("/a.jpg").field("User-Agent", agent);
        for status in attack.ask(&question) {
            assert!(matches!(status, 0 | 403 | 431), "{status}: {length}");
        }
    }
    assert_eq!(attack.origin().count(), 0);
    tried(KIND, attack.tried);
}
