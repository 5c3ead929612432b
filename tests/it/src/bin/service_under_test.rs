//! One service as a process of its own, for the tests that kill it.

use std::net::SocketAddr;

use clap::Parser;
use it::service::{self, Service};

/// Runs one service with the settings of the environment.
#[derive(Debug, Parser)]
struct Arguments {
    service: Service,
    /// Where the auth-service listens
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    service::run(arguments.service, arguments.listen).await
}
