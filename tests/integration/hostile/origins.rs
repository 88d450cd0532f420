//! Origins that are hostile or broken (sections 10 and 14): what they send is
//! refused, cut, or passed on in one form; nobody else gets any of it, and no
//! place or descriptor is lost by it.

mod answers;
mod poison;
mod privilege;
mod run;
mod secrets;
mod slow;
mod stage;
mod volume;

const KIND: &str = "answers of a hostile or broken origin";
