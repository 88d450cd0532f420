//! `Accept-Encoding`, reduced to the codings that matter (section 9).

/// The codings of `br`, `gzip` and `zstd` that a client accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Encodings {
    /// `br`.
    pub br: bool,
    /// `gzip`.
    pub gzip: bool,
    /// `zstd`.
    pub zstd: bool,
}
