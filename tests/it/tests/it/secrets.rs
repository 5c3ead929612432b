//! That a secret which can be read somewhere is found: every town is searched when it ends.

use it::Town;
use secrecy::ExposeSecret;

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_message_or_a_log_line_is_found() -> anyhow::Result<()> {
    let town = Town::of(2).await?;
    town.migrate().await?;
    assert!(town.search.found().is_empty(), "{:?}", town.search.found());
    let secret = town.office.clio_app.clio_api_secret.expose_secret().to_owned();
    town.publish("run.1.rumour", secret.clone()).await?;
    let found = town.search.found();
    assert!(
        found.iter().any(|it| it.contains("the application's secret") && it.contains(".blk")),
        "{found:?}"
    );
    tracing::info!(secret, "A line that should not be.");
    let found = town.search.last();
    assert!(
        found.iter().any(|it| it == "the application's secret can be read in the log or a page"),
        "{found:?}"
    );
    assert!(!found.iter().any(|it| it.contains(&secret)), "the finding does not repeat it");
    Ok(())
}
