//! The Date field of responses that have none (RFC 9110 section 6.6.1).

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use hyper::header::HeaderValue;

/// Formatted once a second.
#[derive(Debug, Default)]
pub(in crate::server) struct Date {
    second: Cell<u64>,
    line: RefCell<String>,
}

impl Date {
    /// Appends the field's line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.refresh();
        out.extend_from_slice(self.line.borrow().as_bytes());
    }

    /// The field's value.
    pub(in crate::server) fn value(&self) -> HeaderValue {
        self.refresh();
        let line = self.line.borrow();
        let date = line.trim_start_matches("date: ").trim_end();
        HeaderValue::from_str(date).expect("a date is a field value")
    }

    fn refresh(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let second = now.unwrap_or(Duration::ZERO).as_secs();
        let mut line = self.line.borrow_mut();
        if self.second.replace(second) != second || line.is_empty() {
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            *line = format!("date: {}\r\n", httpdate::fmt_http_date(date));
        }
    }
}
