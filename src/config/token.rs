//! The token of the admin listener.

use std::fmt;
use std::hint::black_box;

/// A shorter one can be guessed.
const SHORTEST: usize = 16;

/// What `Authorization: Bearer` has to say. `Debug` does not tell it.
#[derive(Clone)]
pub struct Token(Box<[u8]>);

/// Why the contents of `admin.token_file` are not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,
    /// It has several lines.
    #[error("the file has more than one line")]
    Lines,
    /// It has bytes that a field value cannot carry unchanged.
    #[error("the token has other characters than visible ASCII")]
    Characters,
    /// It can be guessed.
    #[error("the token has less than {SHORTEST} bytes")]
    Short,
}

impl Token {
    /// The token in a file: one line, whose newline does not count.
    ///
    /// # Errors
    ///
    /// [`TokenError`] with what is wrong; never with the token.
    pub fn read(file: &[u8]) -> Result<Self, TokenError> {
        let line = file.strip_suffix(b"\n").unwrap_or(file);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            Err(TokenError::Empty)
        } else if line.contains(&b'\n') || line.contains(&b'\r') {
            Err(TokenError::Lines)
        } else if !line.iter().all(u8::is_ascii_graphic) {
            Err(TokenError::Characters)
        } else if line.len() < SHORTEST {
            Err(TokenError::Short)
        } else {
            Ok(Self(line.into()))
        }
    }

    /// Whether `given` is this token. The time that takes tells its length at
    /// most.
    pub fn is(&self, given: &[u8]) -> bool {
        if given.len() != self.0.len() {
            return false;
        }
        let differ = |sum: u8, (a, b): (&u8, &u8)| black_box(sum | (a ^ b));
        self.0.iter().zip(given).fold(0, differ) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_sixteen_bytes() {
        for good in [
            "0123456789abcdef",
            "0123456789abcdef\n",
            "0123456789abcdef\r\n",
        ] {
            let token = Token::read(good.as_bytes()).unwrap();
            assert!(token.is(b"0123456789abcdef"));
            for other in [
                &b"0123456789abcdeF"[..],
                b"",
                b"0123456789abcde",
                good.repeat(2).as_bytes(),
            ] {
                assert!(!token.is(other), "{other:?}");
            }
            assert!(!format!("{token:?}").contains("0123"));
        }
        for (bad, why) in [
            ("", TokenError::Empty),
            ("\n", TokenError::Empty),
            ("0123456789abcde\n", TokenError::Short),
            ("0123456789abcdef\n\n", TokenError::Lines),
            ("0123456789abcdef\n0123456789abcdef", TokenError::Lines),
            ("0123456789 abcdef", TokenError::Characters),
            ("0123456789abcdef\u{e4}", TokenError::Characters),
        ] {
            assert_eq!(Token::read(bad.as_bytes()).unwrap_err(), why, "{bad:?}");
        }
    }
}
