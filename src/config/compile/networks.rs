//! Addresses: `access.ip` and `client.trusted_proxies`.

use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;

use super::Compiler;
use super::rule::is_on;
use crate::access::ip::IpRule;
use crate::config::Held;
use crate::config::error::{Finding, Place, quoted};
use crate::config::file::{Entry, Ip, List};
use crate::config::source::{Source, why_unreadable};
use crate::network::list::{ListEntry, ListError, read_list};
use crate::network::parse_network;

impl Compiler<'_> {
    /// `access.ip`.
    pub(super) fn ip(&mut self, raw: &Ip) -> IpRule {
        let mut block = Vec::new();
        if let Some(list) = &raw.block {
            self.limits.ip_entries.check(list, self.findings);
            block.extend(self.networks(list));
        }
        let listed = raw.block_files.iter().flat_map(List::iter);
        let files: Vec<Entry<'_>> = listed.collect();
        for entry in &files {
            block.extend(self.list_file(*entry));
        }
        if let Some(list) = &raw.exempt {
            self.limits.ip_entries.check(list, self.findings);
        }
        let listed = !files.is_empty() || !block.is_empty();
        IpRule {
            block: listed.then(|| block.into_iter().collect()),
            exempt: raw
                .exempt
                .iter()
                .flat_map(|list| self.networks(list))
                .collect(),
            never_exempt: Arc::clone(&self.trusted),
            shadow: is_on(raw.shadow.as_ref()),
        }
    }

    /// The networks of a list in the configuration itself.
    pub(super) fn networks(&self, list: &List) -> Vec<IpNet> {
        list.iter()
            .filter_map(|entry| self.network(entry))
            .collect()
    }

    fn network(&self, entry: Entry<'_>) -> Option<IpNet> {
        match parse_network(entry.text) {
            Ok(written) => {
                if written.host_bits {
                    self.findings.add(host_bits(entry, written.network));
                }
                Some(written.network)
            }
            Err(error) => {
                let finding = entry.error(error.to_string()).label("not a network");
                let allowed =
                    "an address or a CIDR: \"192.0.2.1\", \"192.0.2.0/24\", \"2001:db8::/32\"";
                self.findings.add(finding.allowed(allowed));
                None
            }
        }
    }

    /// The networks of one of `access.ip.block_files`.
    fn list_file(&mut self, entry: Entry<'_>) -> Vec<IpNet> {
        let (path, text) = self.read_source(entry.text);
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                let why = format!("cannot read {}: {}", path.display(), why_unreadable(&error));
                self.findings.add(
                    entry
                        .error(why)
                        .label("this file")
                        .help("a relative path starts at the folder of the configuration file"),
                );
                return Vec::new();
            }
        };
        let key = entry.spot().key;
        let (entries, errors) = read_list(&text);
        let ends_in_newline = text.is_empty() || text.ends_with(b"\n");
        self.holds(
            &path,
            Held::List {
                entries: entries.len() as u64,
                ends_in_newline,
            },
        );
        let errors_none = errors.is_empty();
        for error in errors {
            let line = line_of(&text, error.line);
            let source = Source::lines(&path, line, error.line as usize);
            self.findings.add(bad_line(&source, &key, error));
        }
        if !ends_in_newline && errors_none {
            self.findings.add(no_newline(entry, &path));
        }
        if let Some(finding) = host_bits_in_file(entry, &path.display().to_string(), &entries) {
            self.findings.add(finding);
        }
        entries.iter().map(|entry| entry.written.network).collect()
    }
}

/// What a writer leaves behind that was cut off, or is not done yet.
fn no_newline(entry: Entry<'_>, path: &Path) -> Finding {
    let message = format!(
        "the last line of {} has no newline: was it cut short?",
        path.display()
    );
    let help = "end every line with a newline: a list without one is not taken over while running";
    entry.warning(message).label("this file").help(help)
}

fn host_bits(entry: Entry<'_>, network: IpNet) -> Finding {
    entry
        .warning(format!("{} has host bits set", quoted(entry.text)))
        .label(format!("this stands for {network}"))
        .help(format!(
            "write `\"{network}\"`, or the address without its prefix"
        ))
}

/// One warning for a file, which may have a hundred thousand lines.
fn host_bits_in_file(entry: Entry<'_>, path: &str, entries: &[ListEntry]) -> Option<Finding> {
    let mut with_bits = entries.iter().filter(|entry| entry.written.host_bits);
    let first = with_bits.next()?;
    let count = 1 + with_bits.count();
    let message = format!("{path} has host bits set in {count} of its entries");
    let network = first.written.network;
    let note = format!(
        "the first is in line {}, and stands for {network}",
        first.line
    );
    Some(entry.warning(message).label("this file").note(note))
}

fn bad_line(source: &Arc<Source>, key: &str, error: ListError) -> Finding {
    let text = &source.text;
    let start = text.len() - text.trim_start().len();
    let place = Place::new(source, start..text.trim_end().len().max(start));
    let finding = Finding::error(place, key, error.message);
    finding.allowed("one address or CIDR a line, and comments that begin with #")
}

fn line_of(text: &[u8], number: u32) -> String {
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = lines.nth(number as usize - 1).unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}
