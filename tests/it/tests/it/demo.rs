//! `databridge demo`, the program itself, as a person calls it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context;
use it::processes::built;
use it::town::project;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

type Result = anyhow::Result<()>;

/// How long a demo may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// The demo with these arguments, called in the project's folder.
fn demo(arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(built("databridge-under-test")?);
    command.arg("demo").args(arguments).current_dir(project()).stdin(Stdio::null()).kill_on_drop(true);
    // What the machine at hand has set is none of the demo's.
    for name in ["NATS_URL", "DATABRIDGE_CONFIG", "DATABRIDGE_KEY", "CLIO_URL", "GIS_SERVICE_URL", "RUST_LOG"]
    {
        command.env_remove(name);
    }
    Ok(command)
}

/// Runs the demo to its end.
async fn ended(arguments: &[&str]) -> anyhow::Result<Output> {
    let output = tokio::time::timeout(PATIENCE, demo(arguments)?.output());
    Ok(output.await.with_context(|| format!("demo {arguments:?} does not end"))??)
}

/// Runs the demo to its good end, and gives what it wrote for programs.
async fn table(json: &Path, arguments: &[&str]) -> anyhow::Result<(Value, String)> {
    let file = json.display().to_string();
    let output = ended(&[&["--once", "--json", &file], arguments].concat()).await?;
    let said = String::from_utf8(output.stdout)?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}\n{said}\n{complaints}", output.status);
    Ok((serde_json::from_slice(&std::fs::read(json)?)?, said))
}

fn number(table: &Value, pointer: &str) -> anyhow::Result<u64> {
    table.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("no number at {pointer}: {table}"))
}

/// What became of what people did in a phase.
fn arrivals(table: &Value, phase: &str) -> anyhow::Result<(u64, u64)> {
    let phases = table["phases"].as_array().context("no phases")?;
    let found =
        phases.iter().find(|it| it["name"] == phase).with_context(|| format!("no {phase}: {table}"))?;
    Ok((number(found, "/arrivals/arrived")?, number(found, "/arrivals/expected")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_of_the_whole_city_shows_every_kind_arriving_and_ends_without_a_difference() -> Result {
    let folder = tempfile::tempdir()?;
    let (table, said) = table(&folder.path().join("table.json"), &["--litigations", "120"]).await?;
    // One litigation is deleted from the map, and its matter stays.
    assert_eq!((number(&table, "/records")?, number(&table, "/matters")?), (119, 120), "{said}");
    assert_eq!(table["differs"], json!([]), "{said}");
    assert!(said.contains("no\n    difference") || said.contains("no difference"), "{said}");

    // A city's usual parts: notes on 70 of 100, court dates on half of what is not dismissed, 3 files to 5.
    assert_eq!((number(&table, "/brought/matters")?, number(&table, "/brought/notes")?), (120, 84));
    assert_eq!(number(&table, "/brought/documents")?, 72);
    let court_dates = number(&table, "/brought/court dates")?;
    assert!((45..=60).contains(&court_dates), "{table}");

    for (phase, count) in [
        ("20 edits on the map", 20),
        ("5 notes on the map", 5),
        ("4 dates on the map", 4),
        ("6 files on the map", 6),
        ("20 edits in Clio", 20),
        ("5 notes in Clio", 5),
        ("4 dates in Clio", 4),
        ("4 days in matters", 4),
        ("1 off the map", 1),
        ("3 dismissals", 3),
    ] {
        assert_eq!(arrivals(&table, phase)?, (count, count), "{phase}: {said}");
    }
    let settings = (number(&table, "/afterwards/arrived")?, number(&table, "/afterwards/expected")?);
    assert_eq!(settings, (12, 12), "each new setting has a row of history: {said}");

    assert_eq!(number(&table, "/compared")?, 119 * 14);
    assert!(number(&table, "/compared_of/notes")? >= 84, "{table}");
    assert!(number(&table, "/compared_of/court_dates")? >= court_dates, "{table}");
    // Three of those 72 were added by people.
    assert_eq!(number(&table, "/compared_of/documents")?, 72 + 3);
    assert!(number(&table, "/compared_of/dismissals")? > 3, "{table}");
    assert_eq!(number(&table, "/compared_of/marks")?, 1);
    let waiting = table["waiting"].as_array().context("nothing of waiting")?;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert!(waiting[0].to_string().contains("is not in gis.active_litigations any more"), "{waiting:?}");

    let phases = table["phases"].as_array().context("no phases")?;
    for phase in phases {
        assert!(phase["name"].is_string() && phase["seconds"].is_number(), "{phase}");
        for system in ["gis", "clio"] {
            for kind in ["reads", "writes", "other"] {
                number(phase, &format!("/calls/{system}/{kind}"))?;
            }
        }
    }
    for quiet in ["nothing new, gis", "nothing new, clio"] {
        let phase = phases.iter().find(|it| it["name"] == quiet).context(quiet)?;
        assert_eq!(number(phase, "/written")?, 0, "{said}");
        assert_eq!((number(phase, "/calls/gis/writes")?, number(phase, "/calls/clio/writes")?), (0, 0));
    }
    for system in ["gis", "clio"] {
        assert_eq!(number(&table, &format!("/calls/{system}/limited"))?, 0);
    }
    let too_wide: Vec<_> = said.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(too_wide.is_empty(), "wider than a terminal of 80 columns: {too_wide:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_city_has_as_many_attachments_as_are_wished_for() -> Result {
    let folder = tempfile::tempdir()?;
    let arguments = ["--litigations", "5", "--attachments", "9", "--no-edits"];
    let (table, said) = table(&folder.path().join("table.json"), &arguments).await?;
    assert!(
        said.starts_with("Data Bridge demo: a sample city of 5 litigations and 9 attachments."),
        "{said}"
    );
    assert_eq!((number(&table, "/brought/documents")?, number(&table, "/compared_of/documents")?), (9, 9));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_demo_goes_on_later_without_a_write() -> Result {
    let folder = tempfile::tempdir()?;
    let (json, keep) = (folder.path().join("table.json"), folder.path().join("kept"));
    let kept = keep.display().to_string();
    table(&json, &["--litigations", "20", "--keep", &kept]).await?;
    let key = keep.join("key");
    assert_eq!(std::fs::metadata(&key)?.permissions().mode() & 0o777, 0o600);
    let before = std::fs::read_to_string(&key)?;

    let (table, said) = table(&json, &["--litigations", "20", "--keep", &kept, "--no-edits"]).await?;
    assert_eq!(number(&table, "/calls/clio/writes")?, 0, "{table}");
    assert_eq!(number(&table, "/calls/gis/writes")?, 0, "{table}");
    // People have deleted one of the 20 from the map.
    assert_eq!((number(&table, "/records")?, number(&table, "/matters")?), (19, 20));
    assert_eq!((number(&table, "/compared_of/marks")?, number(&table, "/differences")?), (1, 0), "{said}");
    assert!(said.contains("It is connected already."), "{said}");
    assert_eq!(std::fs::read_to_string(&key)?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_demo_of_other_data_is_refused_and_a_table_of_an_earlier_run_does_not_stay() -> Result {
    let folder = tempfile::tempdir()?;
    let (json, keep) = (folder.path().join("table.json"), folder.path().join("kept"));
    let (file, kept) = (json.display().to_string(), keep.display().to_string());
    table(&json, &["--litigations", "5", "--no-edits", "--keep", &kept]).await?;
    let output = ended(&["--once", "--json", &file, "--litigations", "6", "--keep", &kept]).await?;
    let complaint = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains("of 5 litigations") && complaint.contains("of 6 litigations"), "{complaint}");
    assert_eq!(std::fs::read_to_string(&json)?, "", "the table is of the run that failed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_whose_layer_the_sample_city_lacks_is_told_with_its_file() -> Result {
    let folder = tempfile::tempdir()?;
    for part in ["systems", "routes"] {
        let here = folder.path().join("config").join(part);
        std::fs::create_dir_all(&here)?;
        for file in std::fs::read_dir(project().join("config").join(part))? {
            let file = file?;
            let text = std::fs::read_to_string(file.path())?;
            std::fs::write(here.join(file.file_name()), text.replace("layer = 2", "layer = 5"))?;
        }
    }
    let output = demo(&["--once"])?.current_dir(folder.path()).output().await?;
    let complaint = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    for part in ["config/systems/gis.toml names layer 5", "litigations in layer 2"] {
        assert!(complaint.contains(part), "{complaint}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_is_interrupted_before_its_end_says_so_by_its_status() -> Result {
    let mut child = demo(&["--once", "--litigations", "500"])?.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let under_way = async {
        while let Some(line) = lines.next_line().await? {
            if line.starts_with("Migrating") {
                return anyhow::Ok(());
            }
        }
        anyhow::bail!("it has ended by itself")
    };
    tokio::time::timeout(PATIENCE, under_way).await??;
    let id = i32::try_from(child.id().context("it has ended")?)?;
    kill(Pid::from_raw(id), Signal::SIGINT)?;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.context("it does not end")??;
    assert_eq!(status.code(), Some(130), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_demo_that_is_killed_in_its_migrate_goes_on_and_nothing_is_missing() -> Result {
    let folder = tempfile::tempdir()?;
    let (json, keep) = (folder.path().join("table.json"), folder.path().join("kept"));
    let kept = keep.display().to_string();
    let arguments = ["--litigations", "150", "--no-edits", "--keep", &kept];
    let mut child = demo(&[&["--once"], &arguments[..]].concat())?.stdout(Stdio::piped()).spawn()?;
    let state = keep.join("sandbox.json");
    let half_way = async {
        // The warrants of 150 rows, of some of their history, and of the matters made so far.
        while std::fs::read_to_string(&state).map_or(0, |kept| kept.matches("\"E-2").count()) < 240 {
            anyhow::ensure!(child.try_wait()?.is_none(), "it has ended by itself");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, half_way).await??;
    child.kill().await?;
    let (table, said) = table(&json, &arguments).await?;
    assert_eq!((number(&table, "/matters")?, number(&table, "/differences")?), (150, 0), "{said}");
    Ok(())
}

/// A person's own config: trees and the matters about them.
fn write_own_config(folder: &Path) -> anyhow::Result<()> {
    let files = [
        (
            "systems/gis.toml",
            r#"
            system = "gis"
            [collections.trees]
            key = "TreeNumber"
            [collections.trees.fields]
            TreeNumber = "text"
            Species = "text"
            State = "text"
            shape = "point"
            [bridge]
            overlap_seconds = 120
            [bridge.layers.trees]
            layer = 4
            "#,
        ),
        (
            "systems/clio.toml",
            r#"
            system = "clio"
            [collections.matters]
            key = "Tree"
            [collections.matters.fields]
            description = "text"
            "Tree" = { type = "text", max_length = 255 }
            "Species of tree" = { type = "text", max_length = 255 }
            "State of tree" = "text"
            "East" = { type = "text", max_length = 255 }
            [bridge]
            overlap_seconds = 120
            custom_fields_minutes = 60
            [bridge.matters]
            group = "Tree Clinic"
            practice_area = "Trees"
            client = { name = "Tree Clinic Client", type = "Company" }
            [bridge.custom_fields]
            "Tree" = { type = "text_line" }
            "Species of tree" = { type = "text_line" }
            "State of tree" = { type = "picklist", options = ["sound", "sick"] }
            "East" = { type = "text_line" }
            "#,
        ),
        (
            "routes/tree_matter.toml",
            r#"
            route = "tree_matter"
            kind = "mirror"
            [left]
            collection = "gis.trees"
            key = "TreeNumber"
            [right]
            collection = "clio.matters"
            key = "Tree"
            create = true
            [[fields]]
            left = "TreeNumber"
            right = "Tree"
            direction = "to_right"
            [[fields]]
            left = "Species"
            right = "Species of tree"
            [[fields]]
            left = "State"
            right = "State of tree"
            [[fields]]
            left = "shape"
            right = "East"
            direction = "to_right"
            convert = "longitude"
            [[create]]
            side = "right"
            field = "description"
            from = "Species"
            otherwise = "Tree {key}"
            "#,
        ),
    ];
    for (name, text) in files {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().context("a file without folder")?)?;
        std::fs::write(file, text)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_tries_a_config_and_a_layer_of_their_own() -> Result {
    let folder = tempfile::tempdir()?;
    let (config, layer) = (folder.path().join("config"), folder.path().join("trees.csv"));
    write_own_config(&config)?;
    let csv = "TreeNumber,Species,State,Latitude,Longitude\n\
        T 1/2,Acer,sound,35.1,-90.1\n\
        T-2,\"Quercus \"\"alba\"\"\",sick,35.2,-90.2\n\
        T-3,Ulmus,felled,35.3,-90.3\n\
        T-4,Tilia,sound,,\n\
        T-5,Fagus,sound,35.5,-90.5\n\
        T-5,Fagus,sound,35.5,-90.5\n";
    std::fs::write(&layer, csv)?;
    let (config, layer) = (config.display().to_string(), layer.display().to_string());
    let (table, said) =
        table(&folder.path().join("table.json"), &["--config", &config, "--gis-data", &layer]).await?;
    assert_eq!((number(&table, "/records")?, number(&table, "/matters")?), (6, 4), "{said}");
    assert_eq!(number(&table, "/differences")?, 0, "{said}");
    assert_eq!(said.matches("4 of 4 edits have arrived.").count(), 2, "{said}");
    let waiting = table["waiting"].to_string();
    assert!(waiting.contains("felled") && waiting.contains("T-3"), "an option that Clio lacks: {waiting}");
    assert!(waiting.contains("T-5"), "two of one key: {waiting}");
    assert!(table["warnings"].to_string().contains("line 5: the row has no coordinates"), "{table}");
    Ok(())
}

/// Two trees as a feature collection.
fn trees_as_geojson() -> Value {
    let tree = |number: &str, species: &str, lon: f64| {
        json!({
            "type": "Feature",
            "properties": { "TreeNumber": number, "Species": species, "State": "sound" },
            "geometry": { "type": "Point", "coordinates": [lon, 35.1] },
        })
    };
    let trees = [tree("T-1", "Acer", -90.1), tree("T-2", "Quercus", -90.2)];
    json!({ "type": "FeatureCollection", "features": trees })
}

/// The same as the answers to a query in two pages, whose object ids have another name; of a third page there is nothing.
fn trees_as_answers() -> String {
    let page = |id: i64, number: &str, species: &str| {
        json!({
            "objectIdFieldName": "FID",
            "geometryType": "esriGeometryPoint",
            "spatialReference": { "wkid": 102_100, "latestWkid": 3857 },
            "fields": [
                { "name": "FID", "type": "esriFieldTypeOID", "alias": "FID" },
                { "name": "TreeNumber", "type": "esriFieldTypeString", "alias": "Number", "length": 20 },
                { "name": "Species", "type": "esriFieldTypeString", "alias": "Species", "length": 255 },
                { "name": "State", "type": "esriFieldTypeString", "alias": "State", "length": 255 },
            ],
            "exceededTransferLimit": true,
            "features": [{
                "attributes": { "FID": id, "TreeNumber": number, "Species": species, "State": "sick" },
                "geometry": { "x": -10_018_754.17, "y": 4_163_881.14 },
            }],
        })
    };
    format!("{}\n{}", page(40, "T-1", "Acer"), page(17, "T-2", "Quercus"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_is_taken_as_geojson_and_as_answers_of_arcgis_whatever_the_files_are_called() -> Result {
    let folder = tempfile::tempdir()?;
    let (config, layer) = (folder.path().join("config"), folder.path().join("trees.data"));
    write_own_config(&config)?;
    let (config, file) = (config.display().to_string(), layer.display().to_string());
    let json = folder.path().join("table.json");
    for (contents, missing) in [(trees_as_geojson().to_string(), false), (trees_as_answers(), true)] {
        std::fs::write(&layer, contents)?;
        let (table, said) = table(&json, &["--config", &config, "--gis-data", &file]).await?;
        assert_eq!((number(&table, "/records")?, number(&table, "/matters")?), (2, 2), "{said}");
        assert_eq!(number(&table, "/differences")?, 0, "{said}");
        assert_eq!(said.matches("2 of 2 edits have arrived.").count(), 2, "{said}");
        assert_eq!(table["warnings"].to_string().contains("rows are missing"), missing, "{table}");
        assert_eq!(said.contains("the file: "), missing, "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_answers_of_a_server_are_a_layer() -> Result {
    // They are not copied into this repository; without them the test says that it is skipped.
    let recorded = project().join("../shared/data/arcgis/pyesridump/us-il-cook--page-full.json");
    if !recorded.exists() {
        println!("skipped: {} is not here", recorded.display());
        return Ok(());
    }
    let mut answer: Value = serde_json::from_slice(&std::fs::read(recorded)?)?;
    answer["features"].as_array_mut().context("no features")?.truncate(40);
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config");
    write_own_config(&config)?;
    let renamed = [
        ("systems/gis.toml", "TreeNumber = \"text\"", "ID = \"int\""),
        ("systems/gis.toml", "TreeNumber", "ID"),
        ("systems/gis.toml", "Species =", "NAME ="),
        ("systems/gis.toml", "State = \"text\"", ""),
        ("routes/tree_matter.toml", "TreeNumber", "ID"),
        ("routes/tree_matter.toml", "\"Species\"", "\"NAME\""),
        (
            "routes/tree_matter.toml",
            "[[fields]]\n            left = \"State\"\n            right = \"State of tree\"",
            "",
        ),
    ];
    for (file, from, to) in renamed {
        let path = config.join(file);
        let text = std::fs::read_to_string(&path)?;
        anyhow::ensure!(text.contains(from), "{from} is not in {text}");
        std::fs::write(&path, text.replace(from, to))?;
    }
    let file = folder.path().join("landmarks.json");
    std::fs::write(&file, answer.to_string())?;
    let (config, file) = (config.display().to_string(), file.display().to_string());
    let arguments = ["--config", &config, "--gis-data", &file];
    let (table, said) = table(&folder.path().join("table.json"), &arguments).await?;
    assert_eq!((number(&table, "/records")?, number(&table, "/matters")?), (40, 40), "{said}");
    assert_eq!((number(&table, "/differences")?, number(&table, "/compared")?), (0, 40 * 3), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_got_wrong_is_told_before_anything_starts() -> Result {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    write_own_config(&folder.path().join("good"))?;
    write_own_config(&folder.path().join("broken"))?;
    let route = folder.path().join("broken/routes/tree_matter.toml");
    let text = std::fs::read_to_string(&route)?.replace("left = \"Species\"", "left = \"Specis\"");
    std::fs::write(&route, text)?;
    std::fs::write(path("trees.csv"), "TreeNumber,Species\nT-1,Acer\n")?;
    let (good, broken, trees) = (path("good"), path("broken"), path("trees.csv"));
    let (absent, nowhere) = (path("absent.csv"), path("no/folder/table.json"));
    let cases: [(&[&str], &[&str]); 8] = [
        (&["--litigations", "0"], &["--litigations must be at least 1"]),
        (&["--litigations", "many"], &["invalid value 'many' for '--litigations"]),
        (&["--config", &good], &["--gis-data <FILE>"]),
        (
            &["--config", &good, "--gis-data", &trees, "--attachments", "5"],
            &["--attachments", "cannot be used"],
        ),
        (&["--config", &good, "--gis-data", &absent], &["absent.csv", "No such file"]),
        (&["--config", &broken, "--gis-data", &trees], &["tree_matter.toml:", "Specis"]),
        (&["--config", &absent, "--gis-data", &trees], &["absent.csv/systems", "cannot be read"]),
        (&["--json", &nowhere], &["--json", "no/folder/table.json cannot be written"]),
    ];
    for (arguments, told) in cases {
        refused(arguments, told).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_layer_of_the_config_is_told_with_what_it_is_instead() -> Result {
    let folder = tempfile::tempdir()?;
    write_own_config(&folder.path().join("good"))?;
    let config = folder.path().join("good").display().to_string();
    let area = json!({ "type": "Polygon", "coordinates": [[[-90.1, 35.1], [-90.2, 35.1], [-90.1, 35.2]]] });
    let (mut areas, mut others, none) = (trees_as_geojson(), trees_as_geojson(), json!([]));
    for feature in areas["features"].as_array_mut().context("no features")? {
        feature["geometry"] = area.clone();
    }
    for feature in others["features"].as_array_mut().context("no features")? {
        feature["properties"] = json!({ "Bird": "Corvus", "Species": "corax" });
    }
    let cases: [(&[u8], &[&str]); 11] = [
        (b"Bird,Species\nB-1,Corvus\n", &["has no column `TreeNumber`", "its columns are: Bird, Species"]),
        (b"TreeNumber;Species\nT-1;Acer\n", &["no column `TreeNumber`", "a comma is expected"]),
        (b"TreeNumber,Species\n", &["has no row below its column names"]),
        (b"", &["is empty"]),
        (b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\n\0\x02", &["its first line is no text"]),
        (b"<html><head>", &["HTML", "f=json"]),
        (b"{\"features\": [", &["begins like JSON, but is none"]),
        (
            b"{\"error\":{\"code\":498,\"message\":\"Invalid token.\"}}",
            &["an ArcGIS server has answered", "Invalid token."],
        ),
        (
            &others.to_string().into_bytes(),
            &["no property `TreeNumber`", "its properties are: Bird, Species"],
        ),
        (&areas.to_string().into_bytes(), &["no points but `Polygon`"]),
        (
            &json!({ "type": "FeatureCollection", "features": none }).to_string().into_bytes(),
            &["has no feature"],
        ),
    ];
    let file = folder.path().join("layer.data");
    for (contents, told) in cases {
        std::fs::write(&file, contents)?;
        let named = [told, &["layer.data"]].concat();
        refused(&["--config", &config, "--gis-data", &file.display().to_string()], &named).await?;
    }
    Ok(())
}

/// The demo says so on standard error before it begins, and ends with status 2.
async fn refused(arguments: &[&str], told: &[&str]) -> Result {
    let output = ended(arguments).await?;
    let (said, complaint) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    anyhow::ensure!(output.status.code() == Some(2), "{arguments:?}: {said}{complaint}");
    anyhow::ensure!(told.iter().all(|part| complaint.contains(part)), "{arguments:?}, {told:?}: {complaint}");
    anyhow::ensure!(said.is_empty(), "{arguments:?} has begun: {said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_server_that_is_none_is_told() -> Result {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("not-there").display().to_string();
    let output = ended(&["--once", "--nats-server", &path]).await?;
    let complaint = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains(&path), "{complaint}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_stays_up_until_it_is_interrupted_and_then_ends_well() -> Result {
    let mut child = demo(&["--litigations", "5", "--no-edits"])?.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let mut page = None;
    let up = async {
        while let Some(line) = lines.next_line().await? {
            if let Some(address) = line.strip_prefix("Clio's connection: ") {
                page = Some(address.to_owned());
                return anyhow::Ok(());
            }
        }
        anyhow::bail!("it has ended by itself")
    };
    tokio::time::timeout(PATIENCE, up).await??;
    let http = databridge_http::client("test")?;
    let shown = http.get(page.context("no page")?).send().await?;
    assert!(shown.status().is_success());
    let id = i32::try_from(child.id().context("it has ended")?)?;
    kill(Pid::from_raw(id), Signal::SIGINT)?;
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.context("it does not end")??;
    assert!(status.success(), "{status}");
    Ok(())
}
