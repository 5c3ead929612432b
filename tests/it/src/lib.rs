//! The stage of the end-to-end tests: a broker, a sandbox and the services, all real and all a test's own.

pub mod adopted;
pub mod cluster;
pub mod costs;
pub mod crash;
pub mod legacy;
pub mod operator;
pub mod picture;
pub mod processes;
pub mod rights;
pub mod service;
pub mod small_disk;
pub mod town;
pub mod watch;

pub use town::{Town, TownOptions};
