//! `config/systems/clio.toml`, read and checked.

use databridge_config::{Collection, ConfigError, ConfigFolder};
use databridge_model::{CollectionName, SystemName};

use crate::calendar_entries::CalendarEntries;
use crate::declared::Declared;
use crate::documents::{DeclaredDocuments, Documents};
use crate::matters::Matters;
use crate::notes::Notes;
use crate::settings::{BridgeSettings, SettingsError};

/// The collections that this bridge knows; parents come first.
const KNOWN: [&str; 4] = [Matters::NAME, Notes::NAME, CalendarEntries::NAME, Documents::NAME];

/// Everything that the system file says.
#[derive(Clone, Debug)]
pub struct ClioFile {
    /// `clio`.
    pub system: SystemName,
    /// The bridge's own part.
    pub settings: BridgeSettings,
    pub(crate) matters: Matters,
    pub(crate) notes: Option<Notes>,
    pub(crate) calendar_entries: Option<CalendarEntries>,
    pub(crate) documents: Option<DeclaredDocuments>,
}

impl ClioFile {
    /// Reads and checks the system file.
    pub fn read(config: &ConfigFolder) -> Result<Self, SettingsError> {
        let system = SystemName::parse("clio")?;
        let settings: BridgeSettings = config.bridge_part(&system)?;
        let file = config.system(&system)?;
        let collections = &file.collections;
        let mut wrong: Vec<String> = collections
            .keys()
            .filter(|name| !KNOWN.contains(&name.as_str()))
            .map(|name| {
                format!("[collections.{name}]: this bridge knows {}; remove the table", KNOWN.join(", "))
            })
            .collect();
        let declared = |name: &str| -> Result<Option<Declared>, SettingsError> {
            let name = CollectionName::parse(name)?;
            let collection: Option<Collection> = collections.get(&name).cloned();
            Ok(collection.map(|collection| Declared { system: system.clone(), name, collection }))
        };
        let Some(matters) = declared(Matters::NAME)? else {
            wrong.push("[collections.matters] is missing".to_owned());
            return Err(wrong_in_file(config, &system, wrong));
        };
        let matters = Matters::new(matters, &settings, &mut wrong);
        let notes = declared(Notes::NAME)?.map(|notes| Notes::new(notes, &mut wrong));
        let calendar_entries = declared(CalendarEntries::NAME)?.and_then(|entries| {
            CalendarEntries::new(entries, settings.calendar.as_ref(), file.time_zone, &mut wrong)
        });
        let documents = declared(Documents::NAME)?
            .map(|documents| DeclaredDocuments::new(documents, settings.documents, &mut wrong));
        if wrong.is_empty() {
            Ok(Self { system, settings, matters, notes, calendar_entries, documents })
        } else {
            Err(wrong_in_file(config, &system, wrong))
        }
    }
}

/// Problems, told with the file in which they are.
fn wrong_in_file(config: &ConfigFolder, system: &SystemName, problems: Vec<String>) -> SettingsError {
    // The first name in quotes leads to the line.
    let finding = |problem: String| {
        let named = problem.split('"').nth(1).map(|name| format!("\"{name}\""));
        let anchor = named.unwrap_or_else(|| "[bridge]".to_owned());
        config.finding(system, &anchor, problem, String::new())
    };
    ConfigError::Wrong(problems.into_iter().map(finding).collect()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matters::DESCRIPTION;
    use crate::settings::CustomFieldType;

    fn read(system: &str) -> Result<ClioFile, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["systems", "routes"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("systems/clio.toml"), system).unwrap();
        ClioFile::read(&ConfigFolder::read(folder.path()).unwrap())
    }

    fn shipped() -> String {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/systems/clio.toml");
        std::fs::read_to_string(file).unwrap()
    }

    #[test]
    fn the_shipped_file_is_taken() {
        let matters = read(&shipped()).unwrap().matters;
        assert_eq!(matters.declared.collection.key, "Civil Warrant");
        assert_eq!(matters.custom_field_type("Court Status"), Some(CustomFieldType::Picklist));
        assert!(matters.custom_fields().all(|name| name != DESCRIPTION));
    }

    #[test]
    fn an_unknown_setting_is_refused_by_name() {
        let error = read(&shipped().replace("overlap_seconds", "overlap_secs")).unwrap_err();
        assert!(error.to_string().contains("overlap_secs"), "{error}");
    }

    #[test]
    fn a_field_without_custom_field_and_one_of_another_type_are_named() {
        let text = shipped().replace("\"Location\" = { type = \"text_line\" }", "").replace(
            "\"GIS Object ID\" = { type = \"numeric\" }",
            "\"GIS Object ID\" = { type = \"checkbox\" }",
        );
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains("field \"Location\" is neither"), "{error}");
        assert!(error.contains("\"GIS Object ID\" is declared decimal"), "{error}");
    }

    #[test]
    fn a_file_with_matters_only_serves_matters_only() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/examples/hpd/systems/clio.toml");
        let file = read(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert!(file.notes.is_none() && file.calendar_entries.is_none() && file.documents.is_none());
    }

    #[test]
    fn a_declaration_that_cannot_be_served_is_told_with_its_mend() {
        let notes = "[collections.notes]\nkey = \"id\"\nparent = \"matters\"";
        for (shipped_says, instead, told) in [
            (notes, "[collections.notes]\nkey = \"id\"", "[collections.notes]: add parent = \"matters\""),
            (notes, "[collections.notes]\nkey = \"subject\"\nparent = \"matters\"", "the key must be \"id\""),
            ("detail = \"text\"", "body = \"text\"", "notes have no field \"body\""),
            ("all_day = \"bool\"", "all_day = \"text\"", "is declared text; declare it bool"),
            ("time_zone = \"America/Chicago\"", "", "needs time_zone"),
            (
                "[collections.documents",
                "[collections.tasks",
                "[collections.tasks]: this bridge knows matters",
            ),
        ] {
            assert!(shipped().contains(shipped_says), "{shipped_says}");
            let error = read(&shipped().replace(shipped_says, instead)).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
