//! What the files of a certificate hold, and what to do about one that cannot
//! be used.

use std::io;
use std::path::Path;

use crate::config::source::why_unreadable;
use crate::tls::{Chain, ChainError, Key, KeyError, PemError};

/// Why a file cannot be used, and the likely fix.
pub(super) type Refused = (String, &'static str);

pub(super) fn told(path: &Path, why: &str) -> String {
    format!("{}: {why}", path.display())
}

pub(super) fn unreadable(error: &io::Error) -> Refused {
    let help = match error.kind() {
        io::ErrorKind::PermissionDenied => "let the user that runs portcullis read it",
        _ => "a relative path starts at the folder of the configuration file",
    };
    (why_unreadable(error).to_owned(), help)
}

pub(super) fn chain(file: &[u8]) -> Result<Chain, Refused> {
    Chain::from_pem(file).map_err(|error| {
        let help = match &error {
            ChainError::Pem(PemError::Binary) => {
                "make it PEM by `openssl x509 -inform der -in FILE`, or by \
                 `openssl pkcs12 -nokeys -in FILE` if it ends in .p12 or .pfx"
            }
            ChainError::Pem(PemError::Empty) => "",
            ChainError::Pem(PemError::CutShort | PemError::Damaged)
            | ChainError::Certificate { .. } => "copy it again, whole",
            ChainError::Key => "are `cert_file` and `key_file` the wrong way round?",
            ChainError::NoCertificate => "name the file that whoever issued it calls fullchain",
        };
        (error.to_string(), help)
    })
}

pub(super) fn key(file: &[u8]) -> Result<Key, Refused> {
    Key::from_pem(file).map_err(|error| {
        let help = match error {
            KeyError::Pem(PemError::Binary) => {
                "make it PEM by `openssl pkey -inform der -in FILE`, or by \
                 `openssl pkcs12 -nocerts -noenc -in FILE` if it ends in .p12 or .pfx"
            }
            KeyError::Pem(PemError::Empty) => "",
            KeyError::Pem(PemError::CutShort | PemError::Damaged) => "copy it again, whole",
            KeyError::Encrypted => "take the passphrase off by `openssl pkey -in FILE -out NEW`",
            KeyError::Certificate => "are `cert_file` and `key_file` the wrong way round?",
            KeyError::NoKey => "name the key that the certificate was made with",
            KeyError::Several(_) => "leave the certificate's own in it",
            KeyError::Unsupported => {
                "a key is RSA with 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519"
            }
        };
        (error.to_string(), help)
    })
}
