//! Each service killed with SIGKILL at every step of a flow: one matter a litigation, right values, every run closes.

use futures::future::try_join_all;
use it::crash::{Crashes, Flow};

type Result = anyhow::Result<()>;

/// The steps of answering a sync request, in either bridge.
const PULL: [&str; 4] =
    ["pull.before-commit", "pull.after-commit", "pull.before-listed", "pull.after-listed"];

/// The steps of answering a push request, in either bridge; those of the effect itself are the bridge's own.
const PUSH: [&str; 5] = [
    "push.after-intent",
    "push.before-outcome",
    "push.after-outcome",
    "push.after-applied",
    "push.before-ack",
];

/// The steps of a write to Clio.
const CLIO: [&str; 2] = ["clio.before-send", "clio.after-send"];

/// The steps of a write to the feature service.
const GIS: [&str; 2] = ["gis.before-apply", "gis.after-apply"];

/// The steps of the reconciler, in every flow.
const RECONCILER: [&str; 10] = [
    "reconciler.before-run-opened",
    "reconciler.after-run-opened",
    "reconciler.after-link",
    "reconciler.after-conflicts",
    "reconciler.after-push",
    "reconciler.after-listed",
    "reconciler.after-listings-in",
    "reconciler.after-outcome",
    "reconciler.before-run-ended",
    "reconciler.after-run-ended",
];

/// What the reconciler does in a migrate only: it asks for the other side's listing.
const MIGRATE: [&str; 1] = ["reconciler.before-part"];

/// The services that take part in a flow, each with its steps.
pub(crate) fn steps(flow: Flow) -> [(&'static str, Vec<&'static str>); 3] {
    let to_clio = [&PUSH[..], &CLIO].concat();
    match flow {
        Flow::Create | Flow::ToMatter => {
            [("gis-bridge", PULL.into()), ("reconciler", RECONCILER.into()), ("clio-bridge", to_clio)]
        }
        Flow::Migrate => [
            ("gis-bridge", PULL.into()),
            ("reconciler", [&RECONCILER[..], &MIGRATE].concat()),
            ("clio-bridge", [&PULL[..], &to_clio].concat()),
        ],
        Flow::ToRow => [
            ("clio-bridge", PULL.into()),
            ("reconciler", RECONCILER.into()),
            ("gis-bridge", [&PUSH[..], &GIS].concat()),
        ],
    }
}

async fn survives(flow: Flow) -> Result {
    let of = |(service, points)| Crashes::of_a_service(flow, service, points);
    try_join_all(steps(flow).map(of)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_every_kill() -> Result {
    survives(Flow::Create).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_survives_every_kill() -> Result {
    survives(Flow::Migrate).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_on_the_map_survives_every_kill() -> Result {
    survives(Flow::ToMatter).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_clio_survives_every_kill() -> Result {
    survives(Flow::ToRow).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_whose_pulls_are_there_before_its_run_is_open_writes_nothing() -> Result {
    Crashes::of_a_dry_run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_listing_that_comes_before_its_request_is_known_is_not_lost() -> Result {
    Crashes::of_an_overtaken_listing().await
}
