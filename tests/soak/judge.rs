//! Whether an answer is what it must be.

use crate::ask::Ask;
use crate::cause::Cause;
use crate::fetched;
use crate::ledger::Told;
use crate::options::Break;
use crate::random::hash;
use crate::spec::Fault;
use crate::wire::Head;
use crate::world::World;

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

pub(crate) fn must(is: bool, why: &str) -> Result<(), String> {
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
    fetched::is_right(ask, answer, disturbed)?;
    fetched::is_fresh(world, ask, answer)
}
