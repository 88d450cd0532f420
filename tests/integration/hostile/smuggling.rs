//! Messages that two readers may read differently.
