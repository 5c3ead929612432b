//! The config folder and the environment.
//!
//! `systems/<system>.toml` says what collections a system has and of what types their fields are; the rest of it
//! belongs to the bridge. `routes/<route>.toml` says how collections of two systems belong together. `schedules.toml`
//! says when each system is looked at. Secrets and addresses come from the environment, one flat struct a concern
//! ([`mod@env`]).

mod check;
mod convert;
mod cron;
pub mod env;
mod folder;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod route;
mod schedule;
mod system;

pub use check::Finding;
pub use convert::{Converter, Surroundings};
pub use cron::Cron;
pub use folder::{ConfigError, ConfigFolder};
pub use route::{
    Choose, CreateRule, Direction, EmptyRule, FieldOwner, FieldRule, GoneRule, LengthRule, Mark, Route,
    RouteKind, Side, SideRef, SideRule, When,
};
pub use schedule::{Schedule, Timing};
pub use system::{Collection, Cost, FieldDecl, SystemFile};
