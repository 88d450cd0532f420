//! What an attacker would send, and what must come of it (section 14): each
//! module is an attack and those like it, and says how many it tries.

mod connections;
mod origins;
mod smuggling;
mod spelling;
