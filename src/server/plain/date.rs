//! The Date field of responses that have none (RFC 9110 section 6.6.1).

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

/// Formatted once a second.
#[derive(Debug, Default)]
pub(in crate::server) struct Date {
    second: Cell<u64>,
    line: RefCell<String>,
}

impl Date {
    /// Appends the field's line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let second = now.unwrap_or(Duration::ZERO).as_secs();
        let mut line = self.line.borrow_mut();
        if self.second.replace(second) != second || line.is_empty() {
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            *line = format!("date: {}\r\n", httpdate::fmt_http_date(date));
        }
        out.extend_from_slice(line.as_bytes());
    }
}
