use std::path::Path;

use databridge_config::{ConfigFolder, Route, RouteKind, Side};
use databridge_model::Name;

fn read(folder: &str) -> ConfigFolder {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    ConfigFolder::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

fn litigation_and_matter(config: &ConfigFolder) -> &Route {
    config.routes.get(&Name::parse("litigation_matter").unwrap()).unwrap()
}

#[test]
fn the_shipped_folders_are_fine() {
    for (folder, routes) in [("config", 8), ("config/examples/matters", 1), ("config/examples/hpd", 1)] {
        let config = read(folder);
        assert_eq!(config.routes.len(), routes, "{folder}");
        for route in config.routes.values() {
            for side in Side::BOTH {
                assert!(config.collection(&route.side(side).collection).is_some(), "{folder}: {side:?}");
            }
        }
    }
}

#[test]
fn the_shipped_config_has_routes_of_every_kind_and_the_small_one_a_mirror() {
    let config = read("config");
    for kind in [RouteKind::Mirror, RouteKind::Child, RouteKind::Latest, RouteKind::Event] {
        assert!(config.routes.values().any(|route| route.kind == kind), "{kind:?}");
    }
    let small = read("config/examples/matters");
    assert!(small.routes.values().all(|route| route.kind == RouteKind::Mirror));
}

#[test]
fn the_small_config_is_a_part_of_the_shipped_one() {
    let (whole, small) = (read("config"), read("config/examples/matters"));
    let of_whole = litigation_and_matter(&whole);
    for rule in &litigation_and_matter(&small).fields {
        let is_same = |other: &&databridge_config::FieldRule| format!("{other:?}") == format!("{rule:?}");
        assert!(of_whole.fields.iter().any(|other| is_same(&other)), "{rule:?}");
    }
    for (name, system) in &small.systems {
        for (collection, part) in &system.collections {
            let whole =
                whole.systems.get(name).and_then(|system| system.collections.get(collection)).unwrap();
            for (field, declared) in &part.fields {
                assert_eq!(whole.fields.get(field), Some(declared), "{name}.{collection} {field}");
            }
        }
    }
}

#[test]
fn the_court_status_is_the_one_field_that_clio_owns() {
    for folder in ["config", "config/examples/matters"] {
        let config = read(folder);
        let owned: Vec<_> = litigation_and_matter(&config)
            .fields
            .iter()
            .filter(|rule| rule.wins == Side::Right)
            .map(|rule| rule.left.as_str())
            .collect();
        assert_eq!(owned, ["Court_Status"], "{folder}");
    }
}

#[test]
fn a_system_without_a_file_is_named_with_the_file_that_is_missing() {
    let config = read("config");
    let error = config.system(&Name::parse("knack").unwrap()).unwrap_err().to_string();
    assert!(error.ends_with("systems/knack.toml is missing"), "{error}");
}
