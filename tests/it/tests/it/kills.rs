//! Each service killed with SIGKILL at every step of a flow: one matter a litigation, right values, every run closes.

use it::crash::{Crashes, Flow};

type Result = anyhow::Result<()>;

/// The steps of answering a sync request, in either bridge.
pub(crate) const PULL: [&str; 4] =
    ["pull.before-commit", "pull.after-commit", "pull.before-listed", "pull.after-listed"];

/// The steps of answering a push request, in either bridge; those of the effect itself are the bridge's own.
pub(crate) const PUSH: [&str; 5] = [
    "push.after-intent",
    "push.before-outcome",
    "push.after-outcome",
    "push.after-applied",
    "push.before-ack",
];

/// The steps of a write to Clio.
pub(crate) const CLIO: [&str; 2] = ["clio.before-send", "clio.after-send"];

/// The steps of a write to the feature service.
pub(crate) const GIS: [&str; 2] = ["gis.before-apply", "gis.after-apply"];

/// The steps of the reconciler, in every flow.
pub(crate) const RECONCILER: [&str; 9] = [
    "reconciler.before-run-opened",
    "reconciler.after-run-opened",
    "reconciler.after-link",
    "reconciler.after-push",
    "reconciler.after-listed",
    "reconciler.after-listings-in",
    "reconciler.after-outcome",
    "reconciler.before-run-ended",
    "reconciler.after-run-ended",
];

/// What the reconciler does in a migrate only: it asks for the other side's listing.
pub(crate) const MIGRATE: [&str; 1] = ["reconciler.before-part"];

#[tokio::test(flavor = "multi_thread")]
async fn a_create_survives_every_kill() -> Result {
    tokio::try_join!(
        Crashes::of_a_service(Flow::Create, "gis-bridge", &PULL),
        Crashes::of_a_service(Flow::Create, "reconciler", &RECONCILER),
        Crashes::of_a_service(Flow::Create, "clio-bridge", [&PUSH[..], &CLIO].concat()),
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_survives_every_kill() -> Result {
    tokio::try_join!(
        Crashes::of_a_service(Flow::Migrate, "gis-bridge", &PULL),
        Crashes::of_a_service(Flow::Migrate, "reconciler", [&RECONCILER[..], &MIGRATE].concat()),
        Crashes::of_a_service(Flow::Migrate, "clio-bridge", [&PULL[..], &PUSH, &CLIO].concat()),
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_on_the_map_survives_every_kill() -> Result {
    tokio::try_join!(
        Crashes::of_a_service(Flow::ToMatter, "gis-bridge", &PULL),
        Crashes::of_a_service(Flow::ToMatter, "reconciler", &RECONCILER),
        Crashes::of_a_service(Flow::ToMatter, "clio-bridge", [&PUSH[..], &CLIO].concat()),
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_in_clio_survives_every_kill() -> Result {
    tokio::try_join!(
        Crashes::of_a_service(Flow::ToRow, "clio-bridge", &PULL),
        Crashes::of_a_service(Flow::ToRow, "reconciler", &RECONCILER),
        Crashes::of_a_service(Flow::ToRow, "gis-bridge", [&PUSH[..], &GIS].concat()),
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_whose_pulls_are_there_before_its_run_is_open_writes_nothing() -> Result {
    Crashes::of_a_dry_run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_listing_that_comes_before_its_request_is_known_is_not_lost() -> Result {
    Crashes::of_an_overtaken_listing().await
}
