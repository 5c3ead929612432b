//! A stand-in for the two outside systems, Clio Manage API v4 and an ArcGIS feature service, for tests and trials.
//!
//! One HTTP listener serves both, and an admin side through which a test edits records as a person would, counts
//! calls and switches faults on. It is meant to be as strict as the real systems and never kinder.

// The ArcGIS metadata is one large JSON literal.
#![recursion_limit = "256"]

mod admin;
pub mod calls;
pub mod city;
pub mod client;
pub mod clio;
pub mod clock;
pub mod csv_layer;
pub mod data_layer;
pub mod endpoints;
pub mod faults;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod gateway;
pub mod gis;
mod keep;
mod listener;
pub mod openapi;
pub mod server;
pub mod strays;
pub mod traffic;

pub use client::Admin;
pub use clio::ClioOptions;
pub use gis::GisOptions;
pub use keep::KeepError;
pub use server::{Sandbox, SandboxError, SandboxOptions, Secrets};
