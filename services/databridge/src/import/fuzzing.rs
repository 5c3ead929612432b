//! The body of the fuzz target `legacy_folder`. Nothing of the product depends on it.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clio_bridge::{BridgeSettings, Found};
use databridge_config::{ConfigFolder, SystemFile};
use databridge_model::{Name, SystemName};
use serde_json::{Value, json};

use super::{DataFolder, Kind, Take};

/// The data folder of the scripts: what follows a line `== gis/queued/attachments/2021-07-01` is that file.
pub fn legacy_folder(data: &[u8]) {
    let Some(fixed) = fixed() else { return };
    let text = String::from_utf8_lossy(data);
    let mut found = DataFolder::default();
    let mut files = Vec::new();
    for part in text.split("\n== ").skip(1) {
        let (name, text) = part.split_once('\n').unwrap_or((part, ""));
        take(&mut found, Path::new(name), text);
        files.push(name);
    }
    let is_id = |id: &String| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    let all = [&found.litigations, &found.matters, &found.of_matters, &found.notes];
    assert!(all.into_iter().flatten().all(is_id), "{found:?}");
    let is_pair = |id: &String| id.split('/').all(|id| is_id(&id.to_owned())) && id.matches('/').count() == 1;
    assert!(found.attachments.iter().all(is_pair), "{found:?}");
    for unread in &found.unread {
        assert!(files.iter().any(|name| unread.starts_with(name)), "{unread}");
    }
    let (requests, lacking) = found.requests(&fixed.config);
    assert_eq!(lacking, [], "every collection is there");
    assert_eq!(requests.is_empty(), found.is_empty() && found.of_matters.is_empty());
    for ((system, collection), ids) in &requests {
        let known = fixed.config.systems.get(system).and_then(|file| file.collections.get(collection));
        assert!(known.is_some() && !ids.is_empty(), "{system}.{collection}");
    }
    assert!(!found.words().is_empty() && !found.advice().is_empty());
    for ours in [None, Some(&fixed.found)] {
        let strangers = found.strangers(&fixed.settings, ours);
        assert!(strangers.len() <= found.assets.len());
        assert!(strangers.iter().all(|stranger| stranger.words().starts_with("the scripts' ")));
    }
}

fn take(found: &mut DataFolder, path: &Path, text: &str) {
    let queues: [(&str, Take); 4] = [
        ("gis/queued/active_litigations", DataFolder::take_litigation),
        ("gis/queued/attachments", DataFolder::take_attachment),
        ("clio/queued/matters", DataFolder::take_matter),
        ("clio/queued/notes", DataFolder::take_note),
    ];
    let queue = queues.into_iter().find(|(folder, _)| path.starts_with(folder));
    if let Some((_, take)) = queue {
        found.take_queued(path, text, take);
    } else if path.ends_with("log") {
        found.take_log(if path.starts_with("gis") { "gis" } else { "clio" }, path, text.trim());
    } else {
        let kind = Kind::ALL.into_iter().find(|kind| path.ends_with(kind.file())).unwrap_or(Kind::Group);
        found.take_assets(kind, path, text);
    }
}

/// What no input changes.
struct Fixed {
    config: ConfigFolder,
    settings: BridgeSettings,
    found: Found,
}

fn fixed() -> Option<&'static Fixed> {
    static FIXED: OnceLock<Option<Fixed>> = OnceLock::new();
    let make = || {
        let collection = json!({ "key": "id", "fields": { "id": "text" } });
        let system = |name: &str, collections: [&str; 2]| -> Option<(SystemName, SystemFile)> {
            let collections: BTreeMap<_, _> = collections.iter().map(|name| (name, &collection)).collect();
            let file: Value = json!({ "system": name, "collections": collections });
            Some((Name::parse(name).ok()?, serde_json::from_value(file).ok()?))
        };
        let systems =
            [system("gis", ["active_litigations", "attachments"])?, system("clio", ["matters", "notes"])?];
        let (routes, schedules) = (BTreeMap::new(), BTreeMap::new());
        let settings = json!({
            "calendar": { "name": "Court" }, "overlap_seconds": 120, "custom_fields_minutes": 60,
            "matters": { "group": "G", "practice_area": "P", "client": { "name": "C", "type": "Company" } },
            "custom_fields": { "Location": { "type": "text_line" }, "Parcel ID": { "type": "text_line" } },
        });
        let found = json!({
            "group_id": 3, "practice_area_id": 4, "client_id": 5, "read_at": "2026-01-01T00:00:00Z",
            "custom_fields": { "Location": { "id": 15, "type": "text_line" } },
        });
        Some(Fixed {
            config: ConfigFolder { path: PathBuf::new(), systems: systems.into(), routes, schedules },
            settings: serde_json::from_value(settings).ok()?,
            found: serde_json::from_value(found).ok()?,
        })
    };
    FIXED.get_or_init(make).as_ref()
}
