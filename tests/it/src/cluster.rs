//! Several nats-servers that are one.

use std::net::TcpListener;
use std::time::Duration;

use databridge_broker::async_nats::jetstream::context::Context;
use databridge_nats_server::NatsServer;
use futures::future::try_join_all;

use crate::Town;
use crate::watch::until_in;

/// How long servers may take to agree again.
const PATIENCE: Duration = Duration::from_secs(120);

/// Starts so many servers that are a cluster.
pub async fn of(servers: usize) -> anyhow::Result<Vec<NatsServer>> {
    // Held until all are known, so that no two are the same.
    let held: Vec<_> = (0..servers).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let ports: Vec<_> = held.iter().map(|it| Ok(it.local_addr()?.port())).collect::<std::io::Result<_>>()?;
    drop(held);
    let routes: Vec<_> = ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
    let started = ports.iter().enumerate().map(|(number, port)| {
        let own = format!(
            "server_name: it-{number}\ncluster {{\n  name: it\n  listen: \"127.0.0.1:{port}\"\n  routes: [{}]\n}}",
            routes.join(", ")
        );
        NatsServer::ephemeral_with(|options| options.config_extra = own)
    });
    Ok(try_join_all(started).await?)
}

impl Town {
    /// One of the servers of a cluster.
    pub fn server(&mut self, number: usize) -> anyhow::Result<&mut NatsServer> {
        match number.checked_sub(1) {
            None => Ok(&mut self.nats),
            Some(other) => {
                self.other_servers.get_mut(other).ok_or_else(|| anyhow::anyhow!("no server {number}"))
            }
        }
    }

    /// Waits until every stream has a leader and all its copies are up to date, so that one may be lost again.
    pub async fn copies_are_current(&self) -> anyhow::Result<()> {
        // While the servers choose who leads them, nothing is answered.
        let streams =
            until_in(PATIENCE, "the names of the streams", async || Ok(self.streams().await.ok())).await?;
        for name in streams {
            until_in(PATIENCE, &format!("the copies of {name}"), async || {
                Ok(is_current(self.broker.jetstream(), &name, self.office.nats.nats_replicas)
                    .await
                    .then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

async fn is_current(jetstream: &Context, name: &str, replicas: usize) -> bool {
    let asked = tokio::time::timeout(Duration::from_secs(2), jetstream.get_stream(name)).await;
    let Ok(Ok(stream)) = asked else { return false };
    let Some(cluster) = &stream.cached_info().cluster else { return replicas == 1 };
    cluster.leader.is_some()
        && cluster.replicas.len() + 1 == replicas
        && cluster.replicas.iter().all(|copy| copy.current && !copy.offline)
}
