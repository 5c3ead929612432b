//! What the demo is about to show. Whatever a person may have got wrong is found here, before anything starts.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use databridge_config::{ConfigFolder, RouteKind};
use indicatif::HumanCount;
use sandbox::city::{ACTIVE_LITIGATIONS, City};
use sandbox::data_layer::{DataForm, layer_from_file};
use sandbox::gis::{FieldType, GisOptions};

use super::compare::Comparer;
use crate::cli::DemoArgs;

/// Gives the same sample city each time.
const SEED: u64 = 7;

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
    /// What the layer was made from, exactly: a kept demo goes on with the same only.
    pub(crate) data: String,
}

impl Plan {
    pub(crate) fn of(args: &DemoArgs) -> anyhow::Result<Self> {
        if let Some(file) = &args.json {
            // A run of minutes whose table can be written nowhere would be run again; and a table of an earlier run would
            // be taken for this one's.
            std::fs::File::create(file)
                .with_context(|| format!("--json: {} cannot be written", file.display()))?;
        }
        let (Some(folder), Some(file)) = (&args.config, &args.gis_data) else {
            return Self::of_the_city(args);
        };
        let config = ConfigFolder::read(folder)?;
        let mut comparer = Comparer::from_routes(folder)?;
        let layer = layer_of(&config)?;
        let loaded = layer_from_file(file, layer).context("--gis-data")?;
        let fields = loaded.layer.fields();
        if !loaded.layer.is_empty() && fields.iter().all(|field| field.name != comparer.gis_key) {
            bail!(
                "--gis-data: {} has no {} `{}`, which is the key in {}; {}",
                file.display(),
                loaded.form.word(),
                comparer.gis_key,
                folder.join("routes").display(),
                found(loaded.form, &loaded.names)
            );
        }
        if loaded.layer.is_empty() {
            let left_out = loaded.warnings.first().map(|warning| format!("; {warning}")).unwrap_or_default();
            let without = match loaded.form {
                DataForm::Csv => "row below its column names",
                DataForm::GeoJson | DataForm::ArcGis => "feature",
            };
            bail!("--gis-data: {} has no {without}{left_out}", file.display());
        }
        if let Some(id) = fields.iter().find(|field| field.field_type == FieldType::ObjectId) {
            comparer.object_id.clone_from(&id.name);
        }
        let warning = |warning: &String| format!("{}, {warning}", file.display());
        Ok(Self {
            layer,
            comparer,
            warnings: loaded.warnings.iter().map(warning).collect(),
            map: format!("{} rows of {}", HumanCount(loaded.layer.len() as u64), file.display()),
            data: format!("{} as of {}", file.display(), digest(file)?),
            gis: GisOptions::layers(vec![loaded.layer]),
            config,
        })
    }

    fn of_the_city(args: &DemoArgs) -> anyhow::Result<Self> {
        if args.litigations == 0 {
            bail!("--litigations must be at least 1");
        }
        let usual = City::new(args.litigations, SEED);
        let city = City { attachments: args.attachments.unwrap_or(usual.attachments), ..usual };
        let count = |count: usize| HumanCount(count as u64).to_string();
        let config = ConfigFolder::read(&default_config()?)?;
        let layer = layer_of(&config)?;
        if layer != ACTIVE_LITIGATIONS {
            bail!(
                "{} names layer {layer}, and the sample city has its litigations in layer {ACTIVE_LITIGATIONS}; for a \
                 layer of yours call the demo with --config FOLDER --gis-data FILE",
                gis_file(&config).display()
            );
        }
        Ok(Self {
            layer,
            config,
            data: format!(
                "a sample city of {} litigations and {} attachments",
                city.litigations, city.attachments
            ),
            map: format!(
                "a sample city of {} litigations and {} attachments",
                count(city.litigations),
                count(city.attachments)
            ),
            gis: GisOptions::of_city(city),
            comparer: Comparer::of_the_city(),
            warnings: Vec::new(),
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

/// The number of the layer whose rows have matters: that of the mirror route's left side.
pub fn layer_of(config: &ConfigFolder) -> anyhow::Result<u32> {
    let system = config.system(&"gis".parse()?)?;
    let mirror = config.routes.values().find(|route| route.kind == RouteKind::Mirror);
    let mirror =
        mirror.with_context(|| format!("{} holds no mirror route", config.path.join("routes").display()))?;
    let collection = mirror.left.collection.collection.as_str();
    let layer = system.bridge.get("layers").and_then(|layers| layers.get(collection)?.get("layer"));
    let file = gis_file(config);
    let number = layer
        .and_then(toml::Value::as_integer)
        .with_context(|| format!("{} names no layer under [bridge.layers.{collection}]", file.display()))?;
    u32::try_from(number)
        .with_context(|| format!("{}: {number} cannot be the number of a layer", file.display()))
}

fn gis_file(config: &ConfigFolder) -> PathBuf {
    config.path.join("systems/gis.toml")
}

/// The columns that a file has, and what it may be instead of a CSV.
fn found(form: DataForm, columns: &[String]) -> String {
    const SHOWN: usize = 12;
    let is_text = |column: &String| {
        column.chars().all(|letter| (letter == '\t' || !letter.is_control()) && letter != '\u{FFFD}')
    };
    let is_csv = form == DataForm::Csv;
    if is_csv && !columns.iter().all(is_text) {
        return "its first line is no text, so it is none of CSV, GeoJSON and an answer of ArcGIS".to_owned();
    }
    let shortened = |column: &String| column.chars().take(60).collect::<String>();
    let names: Vec<_> = columns.iter().take(SHOWN).map(shortened).collect();
    let more = if columns.len() > SHOWN { ", and more" } else { "" };
    let told = format!("its {} are: {}{more}", form.words(), names.join(", "));
    let holds = |it: &&char| is_csv && columns.iter().any(|column| column.contains(**it));
    match [';', '\t', '|'].iter().find(holds) {
        Some(separator) => format!("{told}. It seems to be separated by {separator:?}; a comma is expected"),
        None => told,
    }
}

/// What tells one content of a file from another.
fn digest(file: &Path) -> anyhow::Result<String> {
    use sha2::{Digest, Sha256};
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(hex::encode(Sha256::digest(&bytes)).chars().take(16).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(columns: &[&str]) -> String {
        found(DataForm::Csv, &columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_columns_of_a_file_are_listed_and_a_foreign_separator_or_a_picture_is_seen() {
        assert_eq!(told(&["Bird", "Species"]), "its columns are: Bird, Species");
        let semicolons = told(&["Bird;Species"]);
        assert!(semicolons.ends_with("It seems to be separated by ';'; a comma is expected"), "{semicolons}");
        assert!(told(&["Bird\tSpecies"]).contains("separated by '\\t'"));
        assert!(told(&["\u{FFFD}PNG\r"]).starts_with("its first line is no text"));
        assert!(told(&["x"; 40]).ends_with("x, and more"));
    }
}
