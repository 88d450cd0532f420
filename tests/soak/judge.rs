//! Whether an answer is what it must be.

use crate::ask::{Ask, Cause};
use crate::ledger::Told;
use crate::options::Break;
use crate::random::hash;
use crate::spec::{Fault, body, etag};
use crate::wire::Head;
use crate::world::World;

/// For how long the policy lets the cache answer with what is stale if the
/// origin fails, and what rounding may add, in ms.
const STALE: u64 = 5000;
const ROUNDING: u64 = 2000;

/// What came of a request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Since the start, in ms.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// 0: no head came.
    pub(crate) status: u16,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// Whether its end came.
    pub(crate) full: bool,
    /// The client did not wait for the end, or could not send its request.
    pub(crate) left: bool,
    /// The one before it on the connection was an upload that was answered
    /// early, of which no more is read than is cheap.
    pub(crate) after_refusal: bool,
    /// Why it is not full.
    pub(crate) trouble: String,
}

impl Answer {
    pub(crate) fn closes(&self) -> bool {
        !self.full || self.head.all("connection").contains("close")
    }
}

/// Judges it, and puts it into the ledger.
pub(crate) fn judge(world: &World, ask: &Ask, answer: &Answer, how: &str) {
    world.count("requests", 1);
    world.count(&format!("requests {how}"), 1);
    let verdict = verdict(world, ask, answer);
    if let Err(why) = &verdict {
        world.ledger.lock().unwrap().curious.insert(ask.number);
        let Ask {
            number,
            method,
            target,
            cause,
            fields,
            ..
        } = ask;
        let Answer {
            start,
            end,
            status,
            head,
            body,
            full,
            trouble,
            ..
        } = answer;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
        world.wrong(why, &format!(
            "seed {}, {how}, request {number}: {method} {target} {fields:?} ({cause:?}), from {start} to {end} ms: {status} {head:?}, {} bytes, full: {full} {trouble} {shown:?}",
            world.options.seed, body.len(),
        ));
    }
    let told = Told {
        status: answer.status,
        bytes: answer.body.len() as u64,
        reference: answer.head.field("portcullis-ref").map(ToOwned::to_owned),
        rule: answer
            .head
            .field("portcullis-denied-by")
            .map(ToOwned::to_owned),
        full: answer.full,
    };
    let wrongs = world.ledger.lock().unwrap().tell(ask.number, told);
    for (what, details) in wrongs {
        world.wrong(what, &details);
    }
}

fn verdict(world: &World, ask: &Ask, answer: &Answer) -> Result<(), String> {
    let outcome = match answer.head.field("portcullis-ref") {
        Some(reference) => {
            world.count(&format!("answers {} of its own", answer.status), 1);
            own(world, ask, answer, reference)
        }
        // Not the end of the body, but of what is read of it, ended it.
        None if answer.status == 0 && answer.after_refusal => Ok(()),
        None if answer.status == 0 => nothing(world, ask, answer),
        None => {
            world.count(&format!("answers {} of the origin", answer.status), 1);
            origins(world, ask, answer)
        }
    };
    if answer.left { Ok(()) } else { outcome }
}

/// The rules that may deny it; `None`: it may pass.
fn rules(world: &World, ask: &Ask, answer: &Answer) -> Vec<Option<&'static str>> {
    if world.options.breaks == Some(Break::Rule) && ask.cause == Cause::Agent {
        return vec![None];
    }
    let by_list = |which: bool, in_force: [bool; 2]| {
        let mut rules = Vec::new();
        rules.extend(in_force[usize::from(which)].then_some(Some("ip.block")));
        rules.extend(in_force[usize::from(!which)].then_some(None));
        rules
    };
    let (start, end) = (answer.start, answer.end);
    match ask.cause {
        Cause::Policy(which) => by_list(which, world.policy.between(start, end)),
        Cause::List(which) => by_list(which, world.list.between(start, end)),
        Cause::Country => vec![Some("geo.block")],
        Cause::Agent => vec![Some("user_agent.block")],
        Cause::Referrer => vec![Some("referrer.block")],
        Cause::Page => vec![Some("origins.upload")],
        _ => vec![None],
    }
}

fn own(world: &World, ask: &Ask, answer: &Answer, reference: &str) -> Result<(), String> {
    let (status, head) = (answer.status, &answer.head);
    let (_, reason) = KNOWN
        .iter()
        .find(|(known, _)| *known == status)
        .ok_or("a status of its own that is none")?;
    let text = format!("{reason}\nReference: {reference}\n");
    let wanted = if ask.method == "HEAD" { "" } else { &text };
    must(
        answer.full && answer.body == wanted.as_bytes(),
        "an answer of its own has another body",
    )?;
    must(reference.len() == 20, "a reference is not 20 characters")?;
    must(
        head.field("cache-control") == Some("no-store"),
        "an answer of its own may be stored",
    )?;
    let denied_by = head.field("portcullis-denied-by");
    let refused = !(502..=504).contains(&status) && head.start.starts_with("HTTP/1.1");
    let long = ask.body.as_ref().is_some_and(|body| body.len() > 64 << 10);
    must(
        !refused || !long || ask.chunked || answer.closes(),
        "a refused upload is too long to be read, and its connection is kept",
    )?;
    let rejection = match ask.cause {
        Cause::Method => Some(405),
        Cause::Host => Some(421),
        Cause::Path => Some(400),
        _ => None,
    };
    if let Some(rejection) = rejection {
        return must(status == rejection, "a rejection has another status");
    }
    let rules = rules(world, ask, answer);
    if status == 403 {
        return must(
            denied_by.is_some() && rules.contains(&denied_by),
            "denied by another rule, or wrongly",
        );
    }
    must(
        rules.contains(&None),
        "a request to be denied got to the origin",
    )?;
    must(
        denied_by.is_none(),
        "a rule is named beside another status than 403",
    )?;
    let disturbed = world.disturbed(answer.start, answer.end);
    let allowed: &[u16] = match ask.spec.fault {
        Some(Fault::Hang) => &[504],
        Some(
            Fault::Close
            | Fault::Garbage
            | Fault::Endless
            | Fault::Reset
            | Fault::Short
            | Fault::Early,
        ) => &[502],
        Some(Fault::Interim | Fault::Unavailable) | None => &[],
    };
    must(
        allowed.contains(&status) || disturbed && (502..=504).contains(&status),
        "an answer of its own without a reason",
    )
}

const KNOWN: [(u16, &str); 10] = [
    (400, "Bad Request"),
    (403, "Forbidden"),
    (405, "Method Not Allowed"),
    (408, "Request Timeout"),
    (413, "Content Too Large"),
    (421, "Misdirected Request"),
    (502, "Bad Gateway"),
    (503, "Service Unavailable"),
    (504, "Gateway Timeout"),
    (508, "Loop Detected"),
];

fn must(is: bool, why: &str) -> Result<(), String> {
    if is { Ok(()) } else { Err(why.to_owned()) }
}

fn nothing(world: &World, ask: &Ask, answer: &Answer) -> Result<(), String> {
    let disturbed = world.disturbed(answer.start, answer.end);
    // Over HTTP/2 a stream may be reset where the head has come and was dropped with it.
    let cut = matches!(ask.spec.fault, Some(Fault::Reset | Fault::Short));
    must(disturbed || cut, "no answer")
}

fn origins(world: &World, ask: &Ask, answer: &Answer) -> Result<(), String> {
    let Answer { status, head, .. } = answer;
    must(
        rules(world, ask, answer).contains(&None),
        "a request to be denied was answered by the origin",
    )?;
    must(
        !matches!(ask.cause, Cause::Method | Cause::Host | Cause::Path),
        "a request to be rejected was answered by the origin",
    )?;
    let disturbed = world.disturbed(answer.start, answer.end);
    if ask.spec.fault == Some(Fault::Early) {
        let cut = !answer.full && disturbed;
        return must(
            *status == 401 && (cut || answer.body == b"early\n"),
            "another answer than the early one",
        );
    }
    must(
        head.field("via").is_some() && head.field("date").is_some(),
        "without Via or Date",
    )?;
    if *status == 416 {
        // It is made by the cache where the whole is stored.
        let whole = format!("bytes */{}", ask.spec.size);
        let asked = ask.range.is_some_and(|(from, _)| from >= ask.spec.size);
        let right = asked && head.field("content-range") == Some(&whole);
        return must(right, "a range is refused that is there");
    }
    must(
        head.field("x-asked") == Some(&ask.spec.to_string()),
        "the answer to another request",
    )?;
    must(
        head.field("x-trailer").is_none() && head.field("keep-alive").is_none(),
        "a field of the next hop",
    )?;
    if let Some(sent) = &ask.body {
        let told = format!("{} {:016x}\n", sent.len(), hash(sent));
        let cut = !answer.full && disturbed;
        return must(
            *status == 201 && (cut || answer.body == told.as_bytes()),
            "an upload was received otherwise",
        );
    }
    fetched(ask, answer, disturbed)?;
    fresh(world, ask, answer)
}

/// A GET or HEAD.
fn fetched(ask: &Ask, answer: &Answer, disturbed: bool) -> Result<(), String> {
    let (Answer { status, head, .. }, spec) = (answer, &ask.spec);
    let seed = ask.seed();
    let whole = body(seed, spec.size);
    let wanted = match (status, ask.range) {
        (503, _) if spec.fault == Some(Fault::Unavailable) => &whole[..],
        (200, _) if spec.fault != Some(Fault::Unavailable) => &whole[..],
        (304, None) if ask.condition == Some(true) => &[],
        (206, Some((from, to))) if from < whole.len() => {
            let to = to.min(whole.len() - 1);
            let content = format!("bytes {from}-{to}/{}", whole.len());
            must(
                head.field("content-range") == Some(&content),
                "another Content-Range",
            )?;
            &whole[from..=to]
        }
        _ => return Err("another status".to_owned()),
    };
    must(
        !(*status == 200 && ask.condition == Some(true)),
        "a whole body where the condition holds",
    )?;
    if ask.method != "HEAD" {
        let came = &answer.body;
        must(
            came.len() <= wanted.len() && came[..] == wanted[..came.len()],
            "another body",
        )?;
        let cut = matches!(spec.fault, Some(Fault::Reset | Fault::Short));
        if answer.full {
            must(
                !cut || wanted.is_empty(),
                "a body that was cut looks complete",
            )?;
            must(came.len() == wanted.len(), "a body is too short")?;
        } else {
            must(cut || disturbed, "a body was cut")?;
        }
    } else {
        must(answer.body.is_empty(), "HEAD has a body")?;
    }
    if spec.tagged {
        must(head.field("etag") == Some(&etag(seed)), "another ETag")?;
    }
    let vary = head.all("vary");
    must(
        !spec.varies || vary.contains("x-flavour"),
        "Vary is not passed on",
    )?;
    must(
        !spec.image || vary.contains("accept"),
        "an image without Vary: Accept",
    )?;
    let hit = head.all("cache-status").contains("hit");
    must(
        !hit || head.field("set-cookie").is_none(),
        "a stored cookie",
    )
}

/// It is not older than it may be.
fn fresh(world: &World, ask: &Ask, answer: &Answer) -> Result<(), String> {
    let made: u64 = answer
        .head
        .field("x-made")
        .and_then(|made| made.parse().ok())
        .ok_or("no x-made")?;
    let status = answer.head.all("cache-status");
    world.count(&format!("cache {}", word(&status)), 1);
    let Some(seconds) = ask.spec.fresh else {
        return must(made >= answer.start, "what may not be stored is old");
    };
    let stale = status.contains("fwd=stale") && world.disturbed(answer.start, answer.end);
    let until = made + seconds * 1000 + ROUNDING + if stale { STALE } else { 0 };
    must(until >= answer.start, "stale")
}

fn word(status: &str) -> &str {
    let words = [
        "hit",
        "collapsed",
        "fwd=stale",
        "fwd=uri-miss",
        "fwd=vary-miss",
        "fwd=bypass",
    ];
    words
        .into_iter()
        .find(|word| status.contains(word))
        .unwrap_or("else")
}
