//! Whether the answer to a GET or HEAD has the right bytes, and is not too old.

use crate::ask::Ask;
use crate::judge::{Answer, must};
use crate::spec::{Fault, body, etag};
use crate::world::World;

/// For how long the policy lets the cache answer with what is stale if the
/// origin fails, and what rounding may add, in ms.
const STALE: u64 = 5000;
const ROUNDING: u64 = 2000;

/// A GET or HEAD.
pub(crate) fn is_right(ask: &Ask, answer: &Answer, disturbed: bool) -> Result<(), String> {
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
            must(!cut, "a body that was cut looks complete")?;
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
pub(crate) fn is_fresh(world: &World, ask: &Ask, answer: &Answer) -> Result<(), String> {
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
