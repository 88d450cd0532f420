//! The fills that a worker brings in, which readers of other workers need.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::cache::fill::Fill;

/// How often it is looked, at the end.
const PAUSE: Duration = Duration::from_millis(20);

/// The fills that a worker brings in.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Underway(RefCell<Vec<Weak<Fill>>>);

impl Underway {
    /// One more.
    pub(super) fn add(&self, fill: &Arc<Fill>) {
        let mut fills = self.0.borrow_mut();
        if fills.len() == fills.capacity() {
            fills.retain(|fill| fill.strong_count() > 0);
        }
        fills.push(Arc::downgrade(fill));
    }

    /// Ends when nobody reads any of them.
    pub(in crate::proxy) async fn read(&self) {
        while self.is_read() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_read(&self) -> bool {
        let fills = self.0.borrow();
        let mut alive = fills.iter().filter_map(Weak::upgrade);
        alive.any(|fill| fill.is_growing() && fill.is_read())
    }
}
