//! What `databridge serve` says of settings that cannot be used, the program itself.

use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context;
use it::processes::built;
use it::town::project;
use tokio::process::Command;

type Result = anyhow::Result<()>;

/// Less than the services wait for NATS, which does not run here.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Calls `databridge serve` with these variables only.
async fn served(variables: &[(&str, &str)]) -> anyhow::Result<Output> {
    let mut command = Command::new(built("databridge-under-test")?);
    command.args(["serve", "--listen", "127.0.0.1:0"]).current_dir(project()).stdin(Stdio::null());
    command.env_clear().envs(variables.iter().copied()).kill_on_drop(true);
    Ok(tokio::time::timeout(AT_ONCE, command.output()).await.context("it connects first")??)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_wrong_in_the_settings_is_told_at_once_before_anything_connects() -> Result {
    let folder = tempfile::tempdir()?;
    for part in ["systems", "routes"] {
        std::fs::create_dir(folder.path().join(part))?;
        for file in std::fs::read_dir(project().join("config").join(part))? {
            let file = file?;
            std::fs::copy(file.path(), folder.path().join(part).join(file.file_name()))?;
        }
    }
    let system = folder.path().join("systems/clio.toml");
    let text = std::fs::read_to_string(&system)?.replace("overlap_seconds", "overlap_secs");
    std::fs::write(&system, text)?;
    let config = folder.path().display().to_string();
    let output = served(&[
        ("NATS_URL", "nats://127.0.0.1:9"),
        ("NATS_REPLICAS", "two"),
        ("DATABRIDGE_CONFIG", &config),
        ("DATABRIDGE_KEY", "hunter2"),
        ("GIS_SERVICE_URL", "https://h/FeatureServer"),
        ("GIS_USERNAME", "bridge"),
        ("CLIO_API_KEY", "app"),
        ("CLIO_CALLBACK_URL", "https://h/"),
    ])
    .await?;
    let complaint = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    let real = format!("{}:", system.display());
    for told in [
        "NATS_REPLICAS cannot be read",
        "DATABRIDGE_KEY is not a key",
        "GIS_USERNAME is set without GIS_PASSWORD",
        "CLIO_API_SECRET is not set",
        real.as_str(),
    ] {
        assert_eq!(complaint.matches(told).count(), 1, "{told}: {complaint}");
    }
    assert!(!complaint.contains("hunter2") && !complaint.contains("started"), "{complaint}");
    Ok(())
}
