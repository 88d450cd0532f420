//! `portcullis man`: the manual page, for packages.

use std::io;

use clap::{Arg, Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{CliError, Exit, print};

/// What each exit code means.
const EXITS: [(Exit, &str); 5] = [
    (
        Exit::Done,
        "Done; for explain, also when the answer is deny.",
    ),
    (
        Exit::Failure,
        "Anything else: a port is in use, a line of explain --stdin is not a request, health finds it ill, \
         replay --fail-on-change could decide no request.",
    ),
    (
        Exit::Changed,
        "With replay --fail-on-change, something changed.",
    ),
    (Exit::Usage, "The command line is wrong."),
    (
        Exit::Config,
        "The configuration is missing, cannot be read or is wrong, or one of its tests fails.",
    ),
];

const SIGNALS: [(&str, &str); 3] = [
    (
        "SIGHUP",
        "Reload the configuration, confirming lists that shrank, and open the access log anew.",
    ),
    (
        "SIGTERM, SIGINT",
        "Stop accepting, finish what is in flight within server.drain_timeout, and end; a second one ends at once.",
    ),
    (
        "SIGUSR2",
        "Hand the listeners over to the program that is installed now.",
    ),
];

const FILES: [(&str, &str); 2] = [
    (
        "portcullis.toml",
        "The configuration, wherever --config says. Relative paths in it start at its folder. \
         portcullis schema prints its JSON Schema.",
    ),
    (
        "/etc/portcullis/portcullis.toml",
        "Where the systemd unit and the container image look for it.",
    ),
];

/// Prints it on stdout, as roff.
pub(super) fn run() -> Result<Exit, CliError> {
    let page = page().map_err(|error| CliError::Io("write the manual page", error))?;
    print(&page)
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = super::Arguments::command();
    command.build();
    let man = Man::new(command.clone()).manual("Portcullis");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut rest = Roff::new();
    rest.control("SH", ["COMMANDS"]);
    for each in command.get_subcommands().filter(|each| !each.is_hide_set()) {
        subcommand(&mut rest, each);
    }
    rest.control("SH", ["EXIT STATUS"]);
    for (exit, text) in EXITS {
        tagged(&mut rest, vec![bold(exit.code().to_string())], text);
    }
    for (title, entries) in [("SIGNALS", &SIGNALS[..]), ("FILES", &FILES)] {
        rest.control("SH", [title]);
        for (name, text) in entries {
            tagged(&mut rest, vec![bold(*name)], text);
        }
    }
    rest.to_writer(&mut page)?;
    Ok(page)
}

/// A command with everything that may stand behind it.
fn subcommand(page: &mut Roff, command: &Command) {
    page.control("SS", [command.get_name()]);
    if let Some(about) = command.get_about() {
        page.text([roman(format!("{about}."))]);
    }
    let shown = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "help";
    for arg in command.get_arguments().filter(shown) {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        tagged(page, written(arg), &format!("{help}{}", remark(arg)));
    }
}

/// What its default is, and what it may be.
fn remark(arg: &Arg) -> String {
    let mut remarks = String::new();
    let defaults = arg.get_default_values();
    if let Some(default) = defaults.first().filter(|_| arg.get_action().takes_values()) {
        remarks += &format!(" [default: {}]", default.display());
    }
    let possible = arg.get_possible_values();
    let names: Vec<&str> = possible.iter().map(|value| value.get_name()).collect();
    if !names.is_empty() && arg.get_action().takes_values() {
        remarks += &format!(" [{}]", names.join(", "));
    }
    remarks
}

/// `-H, --header NAME: VALUE`
fn written(arg: &Arg) -> Vec<Inline> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    let mut inlines = Vec::new();
    if !flags.is_empty() {
        inlines.push(bold(flags.join(", ")));
    }
    if arg.get_action().takes_values() {
        let names = arg.get_value_names().unwrap_or_default();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        if !flags.is_empty() {
            inlines.push(roman(" "));
        }
        inlines.push(italic(names.join(" ")));
    }
    inlines
}

fn tagged(page: &mut Roff, tag: Vec<Inline>, text: &str) {
    page.control("TP", []);
    page.text(tag);
    page.text([roman(text)]);
}
