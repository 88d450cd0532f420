//! The `[log]` table, compiled.

use std::path::PathBuf;

/// Where and how things are logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `level` of the program's own log.
    pub level: Level,
    /// `format` of the program's own log.
    pub format: LogFormat,
    /// `access`.
    pub access: AccessTarget,
    /// `client_address`.
    pub client_address: ClientAddressMode,
}

/// How much the program's own log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `error`
    Error,
    /// `warn`
    Warn,
    /// `info`
    Info,
    /// `debug`
    Debug,
    /// `trace`
    Trace,
}

/// How the program's own log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessTarget {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file, opened again on SIGHUP.
    File(PathBuf),
}

/// How much of an address the access log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddressMode {
    /// All of it.
    Full,
    /// Its network: /24, or /48 for IPv6.
    Prefix,
    /// Nothing.
    None,
}
