//! The parts of a PEM file (RFC 7468).

use tokio_rustls::rustls::pki_types::pem::{self, PemObject};

/// Why a file is not PEM. It says nothing of what is in the file: that may be
/// a private key, where a certificate was meant to be too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The file has no bytes.
    #[error("it is empty")]
    Empty,
    /// The file holds the bytes that PEM has in base64.
    #[error("it is DER or PKCS#12, not PEM")]
    Binary,
    /// The file ends within a part, or a part is on one line.
    #[error("it ends in the middle of a part, or has lost its line breaks")]
    CutShort,
    /// A part cannot be decoded.
    #[error("it is damaged: a part of it is not PEM")]
    Damaged,
}

/// Every part that is a `T`, in order; others are passed over.
pub(super) fn parts<T: PemObject>(file: &[u8]) -> Result<Vec<T>, PemError> {
    if file.is_empty() {
        return Err(PemError::Empty);
    }
    if is_binary(file) {
        return Err(PemError::Binary);
    }
    T::pem_slice_iter(file)
        .collect::<Result<_, _>>()
        // Its text may quote the file.
        .map_err(|error| match error {
            pem::Error::MissingSectionEnd { .. } => PemError::CutShort,
            _ => PemError::Damaged,
        })
}

/// Whether `file` holds a part whose name ends in this.
pub(super) fn has_part(file: &[u8], name: &str) -> bool {
    memchr::memmem::find(file, format!("{name}-----").as_bytes()).is_some()
}

/// Whether this begins as a SEQUENCE does in DER (X.690 section 8.1): one of 128
/// bytes or more as no text begins, a shorter one with its very length.
fn is_binary(file: &[u8]) -> bool {
    match file {
        [0x30, 0x81..=0x84, ..] => true,
        [0x30, length @ ..=0x7f, rest @ ..] => rest.len() == usize::from(*length),
        _ => false,
    }
}
