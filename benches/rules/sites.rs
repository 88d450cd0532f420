//! The sites whose pages may show what is asked for.

use crate::rules::{GLOBS, Pages, REFERRERS};

/// The sites as the rules have them, in every table.
#[derive(Debug)]
pub(crate) struct Sites {
    referrers: Vec<String>,
    globs: Vec<String>,
}

impl Sites {
    pub(crate) fn new() -> Self {
        let referrer = |n| format!("https://www.site{n}.example.com/");
        Self {
            referrers: (0..REFERRERS).map(referrer).collect(),
            globs: (0..GLOBS).map(glob).collect(),
        }
    }

    pub(crate) fn pages<'a>(&'a self, missing: &'a str) -> Pages<'a> {
        Pages {
            referrers: &self.referrers,
            globs: &self.globs,
            origins: &["upload", "delivery"],
            missing,
        }
    }
}

/// Globs of every kind in turn.
fn glob(n: usize) -> String {
    match n % 5 {
        0 => format!("www.site{n}.example.com"),
        1 => format!("*.site{n}.example.com"),
        2 => format!("[a-n]*site{n}.{{com,org,net}}"),
        3 => format!("**.site{n}.example.com"),
        _ => format!("app-?.site{n}.example.com:8443"),
    }
}
