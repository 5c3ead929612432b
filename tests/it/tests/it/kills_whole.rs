//! Notes, court dates, documents and history on their way when a service or the broker is killed with SIGKILL: each thing
//! is there once, with its values and bytes, every run closes, and nothing is left over.

use futures::FutureExt;
use futures::future::try_join_all;
use it::crash::whole::{Act, Crashes, Point, migrate_broken_off};

type Result = anyhow::Result<()>;

/// The steps of answering a sync request.
const PULL: [&str; 4] =
    ["pull.before-commit", "pull.after-commit", "pull.before-listed", "pull.after-listed"];

/// The steps of the reconciler.
const RECONCILER: [&str; 9] = [
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

/// The steps of a push to a collection; `effects` are those of the effect itself.
fn push(collection: &str, effects: &[&str]) -> Vec<String> {
    let steps = ["after-intent", "before-outcome", "after-outcome", "after-applied", "before-ack"];
    let of_it = steps.iter().map(|step| format!("push.{step}@{collection}"));
    of_it.chain(effects.iter().map(|effect| (*effect).to_owned())).collect()
}

async fn survives(acts: &'static [Act], service: &'static str, points: &[impl AsRef<str>]) -> Result {
    let points: Vec<_> = points.iter().map(AsRef::as_ref).collect();
    Crashes::of_a_service(acts, service, &points).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_from_the_map_survives_every_kill() -> Result {
    let points = push("notes", &["clio.before-send@POST-notes", "clio.after-send@POST-notes"]);
    survives(&[Act::Note], "clio-bridge", &points).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_court_date_from_the_map_survives_every_kill() -> Result {
    let effects = ["clio.before-send@POST-calendar_entries", "clio.after-send@POST-calendar_entries"];
    survives(&[Act::NewDate], "clio-bridge", &push("calendar_entries", &effects)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_court_date_from_the_map_survives_every_kill() -> Result {
    let effects = ["clio.before-send@PATCH-calendar_entries", "clio.after-send@PATCH-calendar_entries"];
    survives(&[Act::OtherDate], "clio-bridge", &push("calendar_entries", &effects)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_court_date_from_clio_survives_every_kill() -> Result {
    let to_the_map = push(
        "active_litigations",
        &["gis.before-apply@active_litigations", "gis.after-apply@active_litigations"],
    );
    let to_the_matter = ["clio.before-send@PATCH-matters", "clio.after-send@PATCH-matters"];
    let acts = &[Act::DateInClio];
    try_join_all([
        survives(acts, "gis-bridge", &to_the_map).boxed_local(),
        survives(acts, "clio-bridge", &to_the_matter).boxed_local(),
    ])
    .await
    .map(drop)
}

/// The steps of writing a content, from the intent to the acknowledgement.
fn document() -> Vec<String> {
    push(
        "documents",
        &[
            "content.after-read",
            "clio.before-send@POST-documents",
            "clio.after-send@POST-documents",
            "clio.before-upload",
            "clio.after-upload",
            "clio.before-send@PATCH-documents",
            "clio.after-send@PATCH-documents",
        ],
    )
}

/// The steps of giving a content.
const CONTENT: [&str; 3] = ["content.after-chunk", "content.before-object", "content.after-object"];

#[tokio::test(flavor = "multi_thread")]
async fn a_new_document_survives_every_kill() -> Result {
    let acts = &[Act::File];
    try_join_all([
        survives(acts, "clio-bridge", &document()).boxed_local(),
        survives(acts, "gis-bridge", &CONTENT).boxed_local(),
    ])
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_of_a_document_survives_every_kill() -> Result {
    let acts = &[Act::OtherFile];
    try_join_all([
        survives(acts, "clio-bridge", &document()).boxed_local(),
        survives(acts, "gis-bridge", &CONTENT).boxed_local(),
    ])
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_history_survives_every_kill() -> Result {
    let effects = ["gis.before-apply@litigation_history", "gis.after-apply@litigation_history"];
    survives(&[Act::Dismissal], "gis-bridge", &push("litigation_history", &effects)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_history_that_is_known_by_its_values_only_survives_every_kill() -> Result {
    let points = ["push.after-intent", "gis.before-apply", "gis.after-apply", "push.before-outcome"];
    let points = points.map(|point| format!("{point}@litigation_history"));
    let points: Vec<_> = points.iter().map(String::as_str).collect();
    Crashes::of_rows_without_ids_of_ours(&[Act::Dismissal], "gis-bridge", &points).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_at_once_survives_every_kill_of_who_reads_and_who_decides() -> Result {
    try_join_all([
        survives(&Act::ALL, "gis-bridge", &PULL).boxed_local(),
        survives(&Act::ALL, "clio-bridge", &PULL).boxed_local(),
        survives(&Act::ALL, "reconciler", &RECONCILER).boxed_local(),
    ])
    .await
    .map(drop)
}

/// Steps at which the broker is killed while a content is on its way.
const IN_THE_MIDST_OF_A_CONTENT: [(&str, &[&str]); 2] = [
    ("gis-bridge", &CONTENT),
    (
        "clio-bridge",
        &[
            "content.after-read",
            "clio.before-upload",
            "clio.after-upload",
            "clio.after-send@PATCH-documents",
            "push.before-outcome@documents",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn everything_at_once_survives_a_kill_of_the_broker_in_the_midst_of_a_content() -> Result {
    let of = |(service, points)| Crashes::of_the_broker(&Act::ALL, service, points);
    try_join_all(IN_THE_MIDST_OF_A_CONTENT.map(of)).await.map(drop)
}

/// Where a migrate is broken off.
const MIGRATE: [Point; 22] = [
    ("reconciler", "reconciler.after-run-opened", 1),
    ("reconciler", "reconciler.before-part", 4),
    ("reconciler", "reconciler.after-link", 60),
    ("reconciler", "reconciler.after-push", 40),
    ("reconciler", "reconciler.after-outcome", 40),
    ("reconciler", "reconciler.after-listed", 5),
    ("reconciler", "reconciler.after-listings-in", 1),
    ("reconciler", "reconciler.before-run-ended", 1),
    ("gis-bridge", "pull.before-commit", 3),
    ("gis-bridge", "pull.after-commit", 3),
    ("gis-bridge", "pull.before-listed", 3),
    ("gis-bridge", "content.before-object", 3),
    ("gis-bridge", "content.after-object", 3),
    ("clio-bridge", "pull.after-commit", 4),
    ("clio-bridge", "pull.after-listed", 4),
    ("clio-bridge", "push.after-intent", 40),
    ("clio-bridge", "clio.before-send", 40),
    ("clio-bridge", "clio.after-send", 40),
    ("clio-bridge", "clio.after-upload", 3),
    ("clio-bridge", "push.before-outcome", 40),
    ("clio-bridge", "push.after-outcome", 40),
    ("clio-bridge", "push.before-ack", 40),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_of_everything_survives_kill_upon_kill() -> Result {
    try_join_all((1..=4).map(|seed| migrate_broken_off(&MIGRATE, seed))).await.map(drop)
}
