use std::path::Path;

use databridge_config::{ConfigError, ConfigFolder, Finding, Timing};
use databridge_model::{Mode, Name};
use tempfile::TempDir;

use crate::findings::{MAP, OFFICE};

/// A folder of two systems, with these schedules.
fn folder(schedules: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("systems")).unwrap();
    std::fs::create_dir(folder.path().join("routes")).unwrap();
    for (file, text) in
        [("systems/map.toml", MAP), ("systems/office.toml", OFFICE), ("schedules.toml", schedules)]
    {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

fn findings(schedules: &str) -> Vec<Finding> {
    match ConfigFolder::read(folder(schedules).path()) {
        Err(ConfigError::Wrong(findings)) => findings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_shipped_schedules_are_every_five_minutes_and_everything_at_night() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let config = ConfigFolder::read(&path).unwrap();
    let told: Vec<_> = config
        .schedules
        .values()
        .map(|schedule| {
            format!("{}: {} {:?} {}", schedule.name, schedule.request(), schedule.mode, schedule.timing)
        })
        .collect();
    assert_eq!(
        told,
        [
            "clio: clio Incremental every 5m",
            "clio_all: clio Full 0 0 4 * * * in America/Chicago",
            "gis: gis Incremental every 5m",
            "gis_all: gis Full 0 30 3 * * * in America/Chicago",
        ]
    );
}

#[test]
fn a_folder_without_the_file_has_no_schedules() {
    let folder = folder("");
    std::fs::remove_file(folder.path().join("schedules.toml")).unwrap();
    assert!(ConfigFolder::read(folder.path()).unwrap().schedules.is_empty());
}

#[test]
fn one_collection_may_be_asked_for() {
    let folder = folder("[cases]\nrequest = \"map.cases\"\nmode = \"full\"\nevery = \"1h30m\"\n");
    let config = ConfigFolder::read(folder.path()).unwrap();
    let schedule = &config.schedules[&Name::parse("cases").unwrap()];
    assert_eq!((schedule.request().as_str(), schedule.mode), ("map.cases", Mode::Full));
    assert_eq!(schedule.timing, Timing::every("1h30m").unwrap());
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_to_do() {
    let zone = "zone = \"America/Chicago\"";
    let cases = [
        (
            "request = \"knack\"\nevery = \"5m\"".to_owned(),
            3,
            "[a] there is no system `knack`. Systems: map, office",
        ),
        ("every = \"5m\"\nrequest = \"map.rows\"".to_owned(), 4, "`map.rows`. Collections of map: cases"),
        ("request = \"map\"\nmode = \"migrate\"\nevery = \"5m\"".to_owned(), 4, "Write mode = \"full\""),
        ("request = \"map\"\nevery = \"1d\"".to_owned(), 4, "`1d` is no span: write hours"),
        ("request = \"map\"".to_owned(), 2, "it says nothing of when. Write either every"),
        (
            format!("request = \"map\"\nevery = \"5m\"\ncron = \"0 0 3 * * *\"\n{zone}"),
            4,
            "both every and cron",
        ),
        (format!("request = \"map\"\nevery = \"5m\"\n{zone}"), 5, "Take `zone` out"),
        (
            format!("request = \"map\"\ncron = \"30 2 * * *\"\n{zone}"),
            4,
            "the first is the second: \"0 30 2 * * *\"",
        ),
        ("request = \"map\"\ncron = \"0 30 2 * * *\"".to_owned(), 4, "Write zone = \"America/Chicago\""),
        (
            "request = \"map\"\ncron = \"0 30 2 * * *\"\nzone = \"CDT6\"".to_owned(),
            5,
            "there is no time zone `CDT6`",
        ),
        ("request = \"map\"\nevry = \"5m\"".to_owned(), 4, "unknown field `evry`"),
        ("request = \"map\"\nmode = \"all\"\nevery = \"5m\"".to_owned(), 4, "unknown variant `all`"),
    ];
    for (table, line, told) in cases {
        let found = findings(&format!("# Ours\n[a]\n{table}\n"));
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert!(finding.to_string().contains(told), "{table}: {finding}");
        assert!(finding.file.ends_with("schedules.toml"), "{finding}");
        assert_eq!(finding.line, Some(line), "{table}: {finding}");
    }
}

#[test]
fn a_name_that_cannot_stand_in_a_subject_is_refused_and_all_that_is_wrong_is_told_at_once() {
    let found = findings("[\"a.b\"]\nrequest = \"map\"\nevery = \"5m\"\n");
    assert!(found[0].to_string().contains("`a.b` is no name"), "{found:?}");
    let all = findings("[all]\nrequest = \"map\"\nevery = \"5m\"\n");
    assert_eq!((all.len(), all[0].line), (1, Some(1)), "{all:?}");
    let two =
        findings("[a]\nrequest = \"knack\"\nevery = \"5\"\n\n[b]\nrequest = \"knack\"\nevery = \"5m\"\n");
    assert_eq!(two.iter().map(|finding| finding.line).collect::<Vec<_>>(), [Some(2), Some(3), Some(6)]);
}
