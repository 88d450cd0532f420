//! The cache key (section 8). The cache itself has not come yet.

pub mod key;
