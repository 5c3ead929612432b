//! What the others rely on, with a real nats-server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what fails here fails the test"
)]

mod buckets;
mod connecting;
mod dead;
mod leases;
mod office;
mod pages;
mod pitfalls;
mod proxy;
mod reading;
mod strays;
mod workers;
