//! What the demo is about to show. Whatever a person may have got wrong is found here, before anything starts.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use databridge_config::ConfigFolder;
use indicatif::HumanCount;
use sandbox::gis::GisOptions;

use super::compare::Comparer;
use crate::cli::DemoArgs;

/// Config, layer and comparer of a demo.
pub(crate) struct Plan {
    pub(crate) config: ConfigFolder,
    pub(crate) layer: u32,
    pub(crate) gis: GisOptions,
    pub(crate) comparer: Comparer,
    /// Lines of the person's own file that are not wholly in the layer.
    pub(crate) warnings: Vec<String>,
    /// What is on the map, in words.
    pub(crate) map: String,
}

impl Plan {
    pub(crate) fn of(args: &DemoArgs) -> anyhow::Result<Self> {
        if let Some(file) = &args.json {
            // A run of minutes whose table can be written nowhere would be run again.
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(file)
                .with_context(|| format!("--json: {} cannot be written", file.display()))?;
        }
        let (Some(folder), Some(file)) = (&args.config, &args.gis_data) else {
            return Self::of_the_city(args.litigations);
        };
        let config = ConfigFolder::read(folder)?;
        let comparer = Comparer::from_routes(folder)?;
        let layer = layer_of(&config)?;
        let loaded = sandbox::csv_layer::layer_from_csv(file, layer).context("--gis-data")?;
        let has_key = loaded.layer.fields().iter().any(|field| field.name == comparer.gis_key);
        if !has_key {
            bail!(
                "--gis-data: {} has no column `{}`, which is the key in {}",
                file.display(),
                comparer.gis_key,
                folder.join("routes").display()
            );
        }
        let warning = |warning: &sandbox::csv_layer::CsvWarning| format!("{}, {warning}", file.display());
        Ok(Self {
            layer,
            comparer,
            warnings: loaded.warnings.iter().map(warning).collect(),
            map: format!("{} rows of {}", HumanCount(loaded.layer.len() as u64), file.display()),
            gis: GisOptions::layers(vec![loaded.layer]),
            config,
        })
    }

    fn of_the_city(litigations: usize) -> anyhow::Result<Self> {
        if litigations == 0 {
            bail!("--litigations must be at least 1");
        }
        let config = ConfigFolder::read(&default_config()?)?;
        Ok(Self {
            layer: layer_of(&config)?,
            config,
            gis: GisOptions::city(litigations, 7),
            comparer: Comparer::of_the_city(),
            warnings: Vec::new(),
            map: format!("a sample city of {} litigations", HumanCount(litigations as u64)),
        })
    }
}

/// The config folder of the project: beside the working directory, or where the sources are.
fn default_config() -> anyhow::Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    [PathBuf::from("config"), sources]
        .into_iter()
        .find(|folder| folder.join("systems").is_dir())
        .context("the folder `config` is not here; run the demo in the project's folder")
}

/// The layer that the sandbox plays: the first by name of those in the gis system file.
pub fn layer_of(config: &ConfigFolder) -> anyhow::Result<u32> {
    let system = config.system(&"gis".parse()?)?;
    let layers = system.bridge.get("layers").and_then(|layers| layers.as_table());
    let number = layers
        .and_then(|layers| layers.values().next())
        .and_then(|layer| layer.get("layer"))
        .and_then(toml::Value::as_integer);
    u32::try_from(number.context("systems/gis.toml names no layer under [bridge.layers]")?)
        .context("the layer's number in systems/gis.toml is not possible")
}
