//! A client that is not ours: PyPI's `nats-py`, as anybody may have it.

use std::path::PathBuf;
use std::process::Output;

use databridge_model::RunId;
use it::Town;
use it::town::{project, text, value};
use tokio::process::Command;

type Result = anyhow::Result<()>;

/// Publishes an empty message, waits for the broker's word and prints the sequence.
const PUBLISH: &str = r#"
import asyncio, sys, nats

async def main():
    connection = await nats.connect(sys.argv[1])
    ack = await connection.jetstream().publish(sys.argv[2], b"")
    print(ack.seq)
    await connection.close()

asyncio.run(main())
"#;

/// A Python with `nats-py`, in a virtual environment of the build folder; `None` with a plain message where pip
/// cannot get it.
async fn python() -> anyhow::Result<Option<PathBuf>> {
    let folder = project().join("target/nats-py");
    let python = folder.join("bin/python");
    let has_it = async || run(Command::new(&python).args(["-c", "import nats"])).await.is_ok();
    if python.exists() && has_it().await {
        return Ok(Some(python));
    }
    for command in [
        Command::new("python3").args(["-m", "venv"]).arg(&folder),
        Command::new(&python).args(["-m", "pip", "install", "--quiet", "nats-py"]),
    ] {
        if let Err(error) = run(command).await {
            eprintln!("skipped: nats-py cannot be had from PyPI: {error}");
            return Ok(None);
        }
    }
    anyhow::ensure!(has_it().await, "pip says that nats-py is there, and Python does not find it");
    Ok(Some(python))
}

async fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.kill_on_drop(true).output().await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_message_of_a_client_not_ours_is_an_incremental_sync() -> Result {
    let Some(python) = python().await? else { return Ok(()) };
    let town = Town::of(3).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(1);
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    let output =
        run(Command::new(python).args(["-c", PUBLISH]).arg(town.nats.url().as_str()).arg("sync.request.gis"))
            .await?;
    let sequence: u64 = String::from_utf8(output.stdout)?.trim().parse()?;
    town.ended(RunId(sequence)).await?;
    assert_eq!(value(&town.matter(&text(&row, "CivilWarrant")).await?, "Property Owner"), "New Owner");
    Ok(())
}
