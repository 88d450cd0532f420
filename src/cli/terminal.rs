//! Text that a request brought along, on its way to a terminal.

pub(super) use crate::message::terminal::{plain, plain_json};
