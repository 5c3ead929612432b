//! The bodies of the fuzz targets `system_files` and `legacy_folder`. Nothing of the product depends on them.

use databridge_config::fuzzing::{folder_of, read};

pub use crate::import::fuzzing::legacy_folder;

/// A config folder, with the parts of the system files that only their bridges read.
pub fn system_files(data: &[u8]) {
    let Ok(config) = read(&folder_of(&String::from_utf8_lossy(data))) else { return };
    if let Err(error) = gis_bridge::Settings::check_file(&config) {
        is_about(&error.to_string(), "systems/gis.toml");
    }
    if let Err(error) = clio_bridge::Settings::check_file(&config) {
        is_about(&error.to_string(), "systems/clio.toml");
    }
}

fn is_about(error: &str, file: &str) {
    assert!(
        error.split_once(file).is_some_and(|(_, told)| told.trim_matches([':', ' ']).len() > 5),
        "{error}"
    );
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_has_kept_of_system_files_passes() {
        corpus::replay("system_files", super::system_files);
    }

    #[test]
    fn what_fuzzing_has_kept_of_legacy_folder_passes() {
        corpus::replay("legacy_folder", super::legacy_folder);
    }
}
