use std::fs;
use std::path::Path;

use databridge_config::{ConfigError, ConfigFolder, Finding};
use databridge_model::Name;
use serde::Deserialize;
use tempfile::TempDir;

pub(crate) const MAP: &str = r#"system = "map"

[collections.cases]
key = "warrant"

[collections.cases.fields]
warrant = "text"
owner = "text"
rooms = "int"
shape = "point"

[bridge]
layer = 2
"#;

pub(crate) const OFFICE: &str = r#"system = "office"

[collections.matters]
key = "Warrant"

[collections.matters.fields]
Warrant = { type = "text", max_length = 255 }
Owner = "text"
Rooms = "text"
Heard = "instant"
"#;

const ROUTE: &str = r#"route = "case_matter"
kind = "mirror"

[left]
collection = "map.cases"
key = "warrant"

[right]
collection = "office.matters"
key = "Warrant"
create = true

[[fields]]
left = "warrant"
right = "Warrant"
direction = "to_right"

[[fields]]
left = "owner"
right = "Owner"
"#;

/// A folder of these three files.
struct Folder(TempDir);

impl Folder {
    fn new(map: &str, office: &str, route: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("systems/map.toml", map);
        folder.write("systems/office.toml", office);
        folder.write("routes/case_matter.toml", route);
        folder
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self) -> Result<ConfigFolder, ConfigError> {
        ConfigFolder::read(self.0.path())
    }

    /// The findings as a person sees them, with the folder's own path left out.
    fn told(&self) -> Vec<String> {
        let Err(ConfigError::Wrong(findings)) = self.read() else { panic!("nothing is found wrong") };
        let start = format!("{}/", self.0.path().display());
        findings.iter().map(|finding: &Finding| finding.to_string().replace(&start, "")).collect()
    }
}

/// What is told of the route with one text replaced.
fn route_with(from: &str, to: &str) -> Vec<String> {
    assert!(ROUTE.contains(from), "{from}");
    Folder::new(MAP, OFFICE, &ROUTE.replace(from, to)).told()
}

#[test]
fn a_folder_that_fits_together_is_read() {
    let config = Folder::new(MAP, OFFICE, ROUTE).read().unwrap();
    assert_eq!((config.systems.len(), config.routes.len()), (2, 1));
}

#[test]
fn an_unknown_system_is_told_with_its_line_and_the_systems() {
    assert_eq!(
        route_with("map.cases", "mep.cases"),
        ["routes/case_matter.toml:5: there is no system `mep`. Systems: map, office"]
    );
}

#[test]
fn an_unknown_collection_is_told_with_its_line_and_the_collections() {
    assert_eq!(
        route_with("office.matters", "office.matter"),
        ["routes/case_matter.toml:9: there is no collection `office.matter`. Collections: matters"]
    );
}

#[test]
fn an_unknown_field_is_told_with_its_rule_and_the_fields() {
    assert_eq!(
        route_with("right = \"Owner\"", "right = \"Holder\""),
        [
            "routes/case_matter.toml:18: office.matters has no field `Holder`. Fields: Heard, Owner, Rooms, Warrant"
        ]
    );
}

#[test]
fn two_rules_that_write_one_field_are_told() {
    let second =
        format!("{ROUTE}\n[[fields]]\nleft = \"rooms\"\nright = \"Owner\"\ndirection = \"to_right\"\n");
    assert_eq!(
        Folder::new(MAP, OFFICE, &second).told(),
        [
            "routes/case_matter.toml:22: two rules write `Owner` of office.matters. Take one of them out, or give it one direction"
        ]
    );
}

#[test]
fn two_rules_that_read_one_field_are_fine() {
    let second =
        format!("{ROUTE}\n[[fields]]\nleft = \"owner\"\nright = \"Rooms\"\ndirection = \"to_right\"\n");
    Folder::new(MAP, OFFICE, &second).read().unwrap();
}

#[test]
fn a_create_rule_that_a_field_rule_would_overrule_is_told() {
    let create =
        format!("{ROUTE}\n[[create]]\nside = \"right\"\nfield = \"Owner\"\notherwise = \"nobody\"\n");
    assert_eq!(
        Folder::new(MAP, OFFICE, &create).told(),
        [
            "routes/case_matter.toml:22: another rule writes `Owner` of office.matters already. Take one of them out"
        ]
    );
}

#[test]
fn a_create_rule_of_unknown_fields_is_told() {
    let create = format!("{ROUTE}\n[[create]]\nside = \"right\"\nfield = \"title\"\nfrom = \"address\"\n");
    let told = Folder::new(MAP, OFFICE, &create).told();
    assert!(
        told[0].starts_with("routes/case_matter.toml:22: office.matters has no field `title`"),
        "{told:?}"
    );
    assert!(told[1].starts_with("routes/case_matter.toml:22: map.cases has no field `address`"), "{told:?}");
}

#[test]
fn a_converter_that_does_not_fit_is_told_for_each_way() {
    let wrong = |rule: &str| Folder::new(MAP, OFFICE, &format!("{ROUTE}\n[[fields]]\n{rule}\n")).told();
    assert_eq!(
        wrong("left = \"owner\"\nright = \"Heard\"\ndirection = \"to_right\""),
        [
            "routes/case_matter.toml:22: the converter `same` makes no instant of a text. Choose another converter or mend the types"
        ]
    );
    assert_eq!(
        wrong("left = \"shape\"\nright = \"Rooms\"\nconvert = \"longitude\""),
        [
            "routes/case_matter.toml:22: on the way to the left, the converter `longitude` makes no point of a text. Give the field direction = \"to_right\", or mend the types"
        ]
    );
    assert_eq!(
        wrong("left = \"rooms\"\nright = \"Rooms\"").len(),
        1,
        "a number becomes a text, and a text no number"
    );
}

#[test]
fn a_side_that_makes_records_needs_its_key_carried() {
    let told = route_with(
        "left = \"warrant\"\nright = \"Warrant\"\ndirection",
        "left = \"owner\"\nright = \"Rooms\"\ndirection",
    );
    assert_eq!(
        told,
        [
            "routes/case_matter.toml:11: records are made in office.matters, and no field rule carries the key `Warrant` to it. Add a [[fields]] rule for `Warrant`"
        ]
    );
}

#[test]
fn a_key_that_is_not_the_collections_key_is_told() {
    assert_eq!(
        route_with("key = \"warrant\"", "key = \"owner\""),
        [
            "routes/case_matter.toml:6: `owner` is not the key of map.cases. Take `warrant`, or change `key` in the system file"
        ]
    );
}

#[test]
fn a_key_that_is_no_field_of_its_collection_is_told_at_the_collection() {
    let office = OFFICE.replace("key = \"Warrant\"", "key = \"Number\"");
    let told = Folder::new(MAP, &office, ROUTE).told();
    assert_eq!(
        told[0],
        "systems/office.toml:3: the key `Number` of office.matters is none of its fields. Fields: Heard, Owner, Rooms, Warrant"
    );
}

#[test]
fn a_route_from_a_collection_to_itself_is_told() {
    let told = route_with("office.matters", "map.cases");
    assert_eq!(
        told[1], "routes/case_matter.toml:8: both sides are map.cases. A route joins two collections",
        "{told:?}"
    );
}

#[test]
fn an_unknown_key_is_told_with_its_line_in_each_kind_of_file() {
    let told = route_with("create = true", "creates = true");
    assert!(told[0].starts_with("routes/case_matter.toml:11: unknown field `creates`"), "{told:?}");
    let map = MAP.replace("key = ", "keys = ");
    let told = Folder::new(&map, OFFICE, ROUTE).told();
    assert!(told[0].starts_with("systems/map.toml:4: unknown field `keys`"), "{told:?}");
}

#[test]
fn a_word_that_is_no_choice_is_told_with_the_choices() {
    let told = route_with("direction = \"to_right\"", "direction = \"sideways\"");
    assert!(told[0].contains(":16: unknown variant `sideways`") && told[0].contains("to_left"), "{told:?}");
    let told = Folder::new(&MAP.replace("\"int\"", "\"integer\""), OFFICE, ROUTE).told();
    assert!(
        told[0].starts_with("systems/map.toml:") && told[0].contains("expected a type (bool, int"),
        "{told:?}"
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let told = route_with("[left]", "[left");
    assert!(told[0].starts_with("routes/case_matter.toml:4: "), "{told:?}");
}

#[test]
fn a_file_that_is_not_named_as_it_calls_itself_is_told() {
    assert_eq!(
        route_with("route = \"case_matter\"", "route = \"matter_case\""),
        [
            "routes/case_matter.toml:1: the route calls itself `matter_case`, which is not the file's name. Name the file matter_case.toml, or change the line"
        ]
    );
    let folder = Folder::new(MAP, OFFICE, ROUTE);
    folder.write("systems/knack.toml", OFFICE);
    assert!(folder.told()[0].starts_with("systems/knack.toml:1: the system calls itself `office`"));
}

#[test]
fn everything_wrong_is_told_at_once() {
    let route = ROUTE.replace("\"Owner\"", "\"Holder\"").replace("key = \"warrant\"", "key = \"owner\"");
    assert_eq!(Folder::new(MAP, OFFICE, &route).told().len(), 2);
}

#[test]
fn a_folder_that_is_not_there_is_told_with_the_variable_that_names_it() {
    let error = ConfigFolder::read(Path::new("nowhere/at/all")).unwrap_err().to_string();
    assert!(error.contains("nowhere/at/all/systems") && error.contains("DATABRIDGE_CONFIG"), "{error}");
}

#[test]
fn other_files_in_the_folder_are_left_alone() {
    let folder = Folder::new(MAP, OFFICE, ROUTE);
    folder.write("routes/README.md", "not toml");
    folder.write("systems/map.toml.orig", "not toml = =");
    folder.read().unwrap();
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BridgePart {
    layer: u32,
}

#[test]
fn the_bridges_own_part_is_read_by_the_bridge_and_what_is_wrong_in_it_is_named() {
    let map = Name::parse("map").unwrap();
    let config = Folder::new(MAP, OFFICE, ROUTE).read().unwrap();
    assert_eq!(config.bridge_part::<BridgePart>(&map).unwrap().layer, 2);
    for (line, told) in [
        ("layer = \"two\"", "systems/map.toml:13: [bridge] layer: invalid type"),
        ("layer = 2\nlayr = 3", "systems/map.toml:14: [bridge] layr: unknown field `layr`"),
    ] {
        let folder = Folder::new(&MAP.replace("layer = 2", line), OFFICE, ROUTE);
        let error = folder.read().unwrap().bridge_part::<BridgePart>(&map).unwrap_err().to_string();
        let real = folder.0.path().join(told).display().to_string();
        assert!(error.starts_with(&real), "{error}");
    }
}
