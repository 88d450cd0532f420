//! Keys that show only in a running proxy; see `keys`.
