//! What `[cache]` and `[route.cache]` say to no effect, or to a bad one.

use super::Findings;
use crate::cache::settings::SetCookie;
use crate::config::file::Cache;
use crate::config::units::written_size;

/// `memory` is `cache.memory`, in bytes.
pub(super) fn warn(cache: &Cache, memory: u64, findings: &Findings) {
    let enabled = cache.enabled.as_ref().filter(|enabled| enabled.value);
    if let Some(written) = enabled.filter(|_| memory == 0) {
        let finding = written.spot.warning("there is no cache to use");
        let finding = finding.label("no effect").note("cache.memory is \"0\"");
        findings.add(finding.help("give cache.memory a size, or take this out"));
    }
    let object = cache.max_object.as_ref();
    if let Some(written) = object.filter(|object| memory > 0 && object.value > memory) {
        let finding = written.spot.warning("is more than cache.memory");
        let finding = finding.label("never reached");
        let memory = written_size(memory);
        let note = format!("what is longer than {memory} passes through and is not stored");
        findings.add(finding.note(note).help("raise cache.memory, or lower this"));
    }
    let cookies = cache.set_cookie.as_ref();
    if let Some(written) = cookies.filter(|cookies| cookies.value == SetCookie::Keep) {
        let finding = written.spot.warning("stored responses keep their cookies");
        let finding = finding.label("a cookie for everyone");
        findings.add(
            finding
                .note("the cookie that the origin set for one client is sent to every other")
                .help("write \"strip\", unless the origin's cookies are the same for all"),
        );
    }
}
