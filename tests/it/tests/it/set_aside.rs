//! Pushes that carry bytes survive the death of their bridge, wherever it dies: each document is made once, and whole.

use anyhow::Context;
use it::Town;
use it::town::{TownOptions, whole_config};
use sandbox::GisOptions;

/// Steps of a push with bytes that no other has, in their order.
const STEPS: [&str; 3] = ["push.after-set-aside", "clio.before-upload", "clio.after-upload"];

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_of_documents_survives_a_kill_at_each_of_their_steps() -> anyhow::Result<()> {
    let mut town = Town::with(TownOptions {
        gis: GisOptions::city(8, 7),
        config: whole_config(),
        processes: true,
        ack_wait_seconds: 2,
        ..TownOptions::default()
    })
    .await?;
    let mut processes = town.processes.take().context("no processes")?;
    processes.kill("clio-bridge").await?;
    let killing = async {
        for step in STEPS {
            processes.start_one("clio-bridge", Some(&format!("kill:{step}")))?;
            processes.died("clio-bridge").await.context(step)?;
        }
        processes.start_one("clio-bridge", None)
    };
    let (story, killed) = tokio::join!(town.migrate(), killing);
    killed?;
    let story = story?;
    assert_eq!((story.summary.failed, &story.summary.errors), (0, &Vec::new()), "{story:?}");
    let attachments = town.admin.gis_attachments(town.layer()).await?;
    assert!(attachments.len() > STEPS.len());
    let documents = town.admin.documents().await?;
    for attachment in attachments {
        let key = attachment.id.to_string();
        let its: Vec<_> = documents.iter().filter(|it| it.property("GIS_ID") == Some(&key)).collect();
        let whole: Vec<_> = its.iter().filter_map(|it| it.current()?.sha256.clone()).collect();
        assert_eq!(whole, [attachment.sha256], "{}: {} documents", attachment.name, its.len());
        assert_eq!(its.len(), 1, "{}", attachment.name);
    }
    Ok(())
}
