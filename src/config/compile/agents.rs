//! Programs by their User-Agent: `access.user_agent` and `[images]`.

use hyper::header::HeaderValue;

use super::Compiler;
use super::rule::is_on;
use crate::access::user_agent::UserAgentRule;
use crate::config::error::quoted;
use crate::config::file::{Entry, ImageClient as RawClient, Images as RawImages, List, UserAgent};
use crate::images::{ImageClient, Images, Variant};
use crate::message::substrings::SubstringSet;

/// What the web calls an image that browsers show.
const EXTENSIONS: [&str; 9] = [
    "jpg", "jpeg", "png", "gif", "webp", "avif", "bmp", "tif", "tiff",
];

const TOO_LARGE: &str = "these substrings are too large together";

impl Compiler<'_> {
    /// `access.user_agent`.
    pub(super) fn user_agent(&self, raw: &UserAgent) -> UserAgentRule {
        let list = raw.block.as_ref().filter(|list| !list.is_empty());
        UserAgentRule {
            block: list.and_then(|list| self.substrings(list)),
            shadow: is_on(raw.shadow.as_ref()),
        }
    }

    fn substrings(&self, list: &List) -> Option<SubstringSet> {
        self.limits.user_agents.check(list, self.findings);
        match SubstringSet::new(&texts(list)) {
            Ok(set) => Some(set),
            Err(error) => {
                let finding = list.spot.error(format!("{TOO_LARGE}: {error}"));
                self.findings.add(finding);
                None
            }
        }
    }

    /// `[images]`; `None`: the table is not there, and all is as usual.
    pub(super) fn images(&self, raw: Option<&RawImages>) -> Option<Images> {
        let extensions = match raw.and_then(|raw| raw.extensions.as_ref()) {
            Some(list) => list
                .iter()
                .filter_map(|entry| self.extension(entry))
                .collect(),
            None => EXTENSIONS.map(str::to_owned).to_vec(),
        };
        let formats = match raw.and_then(|raw| raw.formats.as_ref()) {
            Some(list) => list.iter().filter_map(|entry| self.format(entry)).collect(),
            None => vec![Variant::WebP],
        };
        let clients = raw.into_iter().flat_map(|raw| &raw.clients);
        let clients = clients.filter_map(|raw| self.image_client(raw)).collect();
        match (Images::new(&extensions, &formats, clients), raw) {
            (Ok(images), _) => Some(images),
            (Err(error), raw) => {
                let message = format!("{TOO_LARGE}: {error}");
                let finding = raw.map(|raw| raw.spot.error(message));
                finding
                    .into_iter()
                    .for_each(|finding| self.findings.add(finding));
                None
            }
        }
    }

    fn extension(&self, entry: Entry<'_>) -> Option<String> {
        let plain = entry.text.trim_start_matches(['*', '.']);
        if plain == entry.text && !plain.contains(['.', '/', '*']) {
            return Some(plain.to_ascii_lowercase());
        }
        let finding = entry.error(format!("{} is not an extension", quoted(entry.text)));
        let finding = finding.label("more than the extension");
        let finding = finding.allowed("what stands behind the last dot of a path: \"jpg\"");
        self.findings.add(match plain.rsplit('.').next() {
            Some(last) if !last.is_empty() && !last.contains(['/', '*']) => {
                finding.help(format!("write `\"{last}\"`"))
            }
            _ => finding,
        });
        None
    }

    fn format(&self, entry: Entry<'_>) -> Option<Variant> {
        match entry.text {
            "webp" => return Some(Variant::WebP),
            "avif" => return Some(Variant::Avif),
            _ => {}
        }
        let lower = entry.text.to_ascii_lowercase();
        let bare = lower.trim_start_matches("image/").trim_start_matches('.');
        let finding = entry.error(format!("{} is not a variant", quoted(entry.text)));
        let finding = finding.label("not a variant");
        let finding = finding.allowed("\"webp\" and \"avif\"; [] for none");
        self.findings.add(match bare {
            "webp" | "avif" => finding.help(format!("write `\"{bare}\"`")),
            _ => finding.help("what the origin has anyway needs no entry"),
        });
        None
    }

    fn image_client(&self, raw: &RawClient) -> Option<(Vec<String>, ImageClient)> {
        let agents = raw.user_agents.as_ref().filter(|list| !list.is_empty());
        if agents.is_none() {
            let finding = raw.spot.lacking("user_agents").error("nothing is listed");
            self.findings.add_first(
                finding
                    .label("this entry is for nobody")
                    .help("write `user_agents = [\"Android 11\"]`"),
            );
        }
        if raw.accept.is_none() {
            let finding = raw.spot.lacking("accept").error("must be given");
            self.findings.add_first(
                finding
                    .label("`accept` is missing")
                    .help("write `accept = \"image/webp,image/apng,*/*;q=0.8\"`"),
            );
        }
        let (agents, accept) = (agents?, raw.accept.as_ref()?);
        self.limits.user_agents.check(agents, self.findings);
        let value = HeaderValue::from_str(accept.value.trim()).ok();
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            let message = format!(
                "{} is not the value of an Accept field",
                quoted(&accept.value)
            );
            let finding = accept.spot.error(message).label("not a field value");
            self.findings
                .add(finding.allowed("media types: \"image/webp,*/*;q=0.8\""));
            return None;
        };
        Some((texts(agents), ImageClient::new(value)))
    }
}

fn texts(list: &List) -> Vec<String> {
    list.iter().map(|entry| entry.text.to_owned()).collect()
}
