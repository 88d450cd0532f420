//! Host and path: read once, normalised once, and matched (section 5).

mod folding;
pub mod host;
mod index;
pub mod path;
pub mod pattern;
mod reading;
mod table;
mod target;

pub use host::HostPattern;
pub use path::{NormalPath, PathError};
pub use pattern::PathPattern;
pub use reading::Reading;
pub use table::{RouteMatcher, RouteMatcherBuilder};
pub use target::{Target, TargetError};
