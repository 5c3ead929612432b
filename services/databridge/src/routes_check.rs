//! `databridge routes check`

use anyhow::bail;
use databridge_config::ConfigFolder;

use crate::office::WrongSettings;
use crate::say::say;

/// Checks the config folder: the routes against the collections, and each bridge's own part.
pub(crate) fn run() -> anyhow::Result<bool> {
    for line in checked(&ConfigFolder::from_environment()?)? {
        say!("{line}");
    }
    Ok(true)
}

/// What was found fine, one line each.
fn checked(config: &ConfigFolder) -> anyhow::Result<Vec<String>> {
    let mut wrong = WrongSettings::default();
    let looked_at = wrong.note_of_files(config);
    wrong.or_none()?;
    if config.routes.is_empty() {
        bail!("{} holds no route, so nothing would be carried over", config.path.join("routes").display());
    }
    let systems = config.systems.keys().map(|system| {
        let file = config.path.join("systems").join(format!("{system}.toml"));
        let told = if looked_at.contains(&system.as_str()) {
            "collections and [bridge]: fine"
        } else {
            "collections: fine; no bridge of ours reads its [bridge]"
        };
        format!("{}: {told}", file.display())
    });
    let routes = config.routes.values().map(|route| {
        let (left, right) = (&route.left.collection, &route.right.collection);
        format!("{}: {left} and {right}, {} fields: fine", route.route, route.fields.len())
    });
    let schedules = match config.schedules.len() {
        0 => {
            format!("{}: no schedules, so nothing is looked at by itself", config.schedules_file().display())
        }
        count => format!("{}: {count} schedules: fine", config.schedules_file().display()),
    };
    let rest = "Whether the layer and Clio have what is named here shows with `databridge bootstrap` and the first sync.";
    Ok(systems.chain(routes).chain([schedules, rest.to_owned()]).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shipped() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config"))
    }

    /// The shipped folder, with one text of a system's file replaced.
    fn folder_with(system: &str, replaced: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for part in ["systems", "routes"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
            for file in std::fs::read_dir(shipped().join(part)).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), folder.path().join(part).join(file.file_name())).unwrap();
            }
        }
        let file = folder.path().join("systems").join(system);
        let mut text = std::fs::read_to_string(&file).unwrap();
        for (from, to) in replaced {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        std::fs::write(file, text).unwrap();
        folder
    }

    #[test]
    fn the_shipped_folder_is_fine_and_it_is_said_what_was_looked_at() {
        let told = checked(&ConfigFolder::read(shipped()).unwrap()).unwrap();
        assert!(
            told.iter().any(|line| line.ends_with("gis.toml: collections and [bridge]: fine")),
            "{told:?}"
        );
        assert!(
            told.iter().any(|line| line.ends_with("clio.toml: collections and [bridge]: fine")),
            "{told:?}"
        );
        assert!(told.iter().any(|line| line.starts_with("litigation_matter: ")), "{told:?}");
        assert!(told.iter().any(|line| line.ends_with("schedules.toml: 4 schedules: fine")), "{told:?}");
    }

    #[test]
    fn the_folders_to_start_from_are_fine() {
        for folder in ["matters", "hpd"] {
            let path = shipped().join("examples").join(folder);
            if let Err(error) = checked(&ConfigFolder::read(&path).unwrap()) {
                panic!("{folder}: {error}");
            }
        }
    }

    #[test]
    fn what_is_wrong_in_a_bridges_own_part_is_told_with_the_real_path() {
        let cases: [(&str, &str, &str, &str); 4] = [
            ("gis.toml", "layer = 2", "layr = 2", "unknown field `layr`"),
            ("gis.toml", "[bridge.layers.active_litigations]", "[bridge.layers.litigations]", "has no layer"),
            ("clio.toml", "overlap_seconds", "overlap_secs", "unknown field `overlap_secs`"),
            ("clio.toml", "\"Location\" = { type = \"text_line\" }", "", "\"Location\" is neither"),
        ];
        for (file, from, to, told) in cases {
            let folder = folder_with(file, &[(from, to)]);
            let error = checked(&ConfigFolder::read(folder.path()).unwrap()).unwrap_err().to_string();
            let path = folder.path().join("systems").join(file).display().to_string();
            assert!(error.contains(&path) && error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_folder_without_routes_is_not_fine() {
        let folder = folder_with("gis.toml", &[]);
        for route in std::fs::read_dir(folder.path().join("routes")).unwrap() {
            std::fs::remove_file(route.unwrap().path()).unwrap();
        }
        let error = checked(&ConfigFolder::read(folder.path()).unwrap()).unwrap_err().to_string();
        assert!(error.contains("routes holds no route"), "{error}");
    }
}
