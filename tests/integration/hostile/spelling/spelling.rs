//! Other spellings of what a rule denies.
