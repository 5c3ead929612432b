use std::path::Path;

use databridge_config::{ConfigFolder, Side};
use databridge_model::Name;

fn read(folder: &str) -> ConfigFolder {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    ConfigFolder::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_shipped_folders_are_fine() {
    for folder in ["config", "config/examples/hpd"] {
        let config = read(folder);
        assert_eq!(config.routes.len(), 1, "{folder}");
        for route in config.routes.values() {
            for side in Side::BOTH {
                assert!(config.collection(&route.side(side).collection).is_some(), "{folder}: {side:?}");
            }
        }
    }
}

#[test]
fn the_court_status_is_the_one_field_that_clio_owns() {
    let config = read("config");
    let route = config.routes.values().next().unwrap();
    let owned: Vec<_> = route.fields.iter().filter(|rule| rule.wins == Side::Right).collect();
    assert_eq!(owned.iter().map(|rule| rule.left.as_str()).collect::<Vec<_>>(), ["Court_Status"]);
}

#[test]
fn a_system_without_a_file_is_named_with_the_file_that_is_missing() {
    let config = read("config");
    let error = config.system(&Name::parse("knack").unwrap()).unwrap_err().to_string();
    assert!(error.ends_with("systems/knack.toml is missing"), "{error}");
}
