//! What the bridge is told: its part of `systems/gis.toml`, and the sign-in from the environment.

use std::collections::BTreeMap;

use databridge_config::env::{self, EnvError, GisEnv};
use databridge_config::{Collection, ConfigError, ConfigFolder};
use databridge_model::{CollectionName, NameError, SystemName};
use secrecy::SecretString;
use serde::Deserialize;

use crate::attachments::{CONTENT, CONTENT_TYPE, ID, NAME};
use crate::service_url::{ServiceUrl, ServiceUrlError};

/// The settings do not make a bridge.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A variable is missing or cannot be read.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The config folder cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system has no name that can be.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The address cannot be used.
    #[error(transparent)]
    Address(#[from] ServiceUrlError),
    /// Half of a sign-in is set, or two of them.
    #[error("{0}; set GIS_TOKEN alone, or GIS_USERNAME and GIS_PASSWORD, or none of them")]
    SignIn(&'static str),
}

/// `[bridge]` of the system file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BridgePart {
    /// Rows edited this long before the last look are read again.
    #[serde(default = "default_overlap")]
    overlap_seconds: i64,
    /// The layer of each collection of rows.
    layers: BTreeMap<CollectionName, LayerPart>,
    /// The collections of attachments.
    #[serde(default)]
    attachments: BTreeMap<CollectionName, AttachmentPart>,
}

fn default_overlap() -> i64 {
    120
}

/// `[bridge.layers.<collection>]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayerPart {
    /// The layer's number in the service.
    pub(crate) layer: u32,
    /// The date field that tells when a row was last edited; the layer's editor tracking says it where this is absent.
    pub(crate) edit_date: Option<String>,
    /// Fields that tell a row from the others where its key is the GlobalID and the layer takes none of ours.
    #[serde(default)]
    pub(crate) lookup: Vec<String>,
}

/// `[bridge.attachments.<collection>]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttachmentPart {
    /// The collection on whose rows they hang.
    pub(crate) of: CollectionName,
}

/// How the bridge signs in.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Not at all.
    None,
    /// With a token that does not change.
    Token(SecretString),
    /// With a name and a password, for tokens that end.
    Login { username: String, password: SecretString },
}

impl Credential {
    fn of(env: &GisEnv) -> Result<Self, SettingsError> {
        match (&env.gis_token, &env.gis_username, &env.gis_password) {
            (None, None, None) => Ok(Self::None),
            (Some(token), None, None) => Ok(Self::Token(token.clone())),
            (None, Some(username), Some(password)) => {
                Ok(Self::Login { username: username.clone(), password: password.clone() })
            }
            (Some(_), ..) => {
                Err(SettingsError::SignIn("GIS_TOKEN is set beside GIS_USERNAME or GIS_PASSWORD"))
            }
            (None, Some(_), None) => Err(SettingsError::SignIn("GIS_USERNAME is set without GIS_PASSWORD")),
            (None, None, Some(_)) => Err(SettingsError::SignIn("GIS_PASSWORD is set without GIS_USERNAME")),
        }
    }
}

/// The system's name in files, subjects and messages.
const SYSTEM: &str = "gis";

/// What the service is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the feature service is and how we sign in (`GIS_SERVICE_URL` and its companions).
    pub gis: GisEnv,
    /// The config folder (`DATABRIDGE_CONFIG`).
    pub config: ConfigFolder,
}

impl Settings {
    /// Reads the environment and the config folder that it names, and checks both.
    pub fn from_environment() -> Result<Self, SettingsError> {
        let settings = Self { gis: env::read()?, config: ConfigFolder::from_environment()? };
        ServiceSettings::read(&settings)?;
        Ok(settings)
    }

    /// Checks what the system file says, without the environment.
    pub fn check_file(config: &ConfigFolder) -> Result<(), SettingsError> {
        Layers::read(config).map(drop)
    }

    /// Checks what the environment says, without the config folder.
    pub fn check_environment(gis: &GisEnv) -> Result<(), SettingsError> {
        ServiceUrl::parse(&gis.gis_service_url)?;
        Credential::of(gis).map(drop)
    }
}

/// What the system file says, checked.
struct Layers {
    system: SystemName,
    overlap: chrono::TimeDelta,
    of_collections: BTreeMap<CollectionName, (Collection, LayerPart)>,
    attachments: BTreeMap<CollectionName, AttachmentPart>,
}

impl Layers {
    fn read(config: &ConfigFolder) -> Result<Self, SettingsError> {
        let system = SystemName::parse(SYSTEM)?;
        let collections = &config.system(&system)?.collections;
        let mut part: BridgePart = config.bridge_part(&system)?;
        let mut findings = Vec::new();
        let mut find = |anchor: &str, problem: String, mend: String| {
            findings.push(config.finding(&system, anchor, problem, mend));
        };
        if !(0..=86_400).contains(&part.overlap_seconds) {
            let problem = format!("[bridge] overlap_seconds is {}", part.overlap_seconds);
            find("overlap_seconds", problem, "It must be from 0 to 86400".to_owned());
        }
        let (mut of_collections, mut attachments) = (BTreeMap::new(), BTreeMap::new());
        for (name, declared) in collections {
            match (part.layers.remove(name), part.attachments.remove(name)) {
                (Some(layer), None) => {
                    if let Err((problem, mend)) = checked_lookup(declared, &layer) {
                        find(
                            &format!("[bridge.layers.{name}]"),
                            format!("[bridge.layers.{name}] {problem}"),
                            mend,
                        );
                    }
                    of_collections.insert(name.clone(), (declared.clone(), layer));
                }
                (None, Some(attached)) => {
                    if let Err((problem, mend)) = checked_attachments(declared, &attached) {
                        find(
                            &format!("[collections.{name}]"),
                            format!("[collections.{name}] {problem}"),
                            mend,
                        );
                    }
                    attachments.insert(name.clone(), attached);
                }
                (None, None) => find(
                    &format!("[collections.{name}]"),
                    format!("the collection `{name}` has no layer"),
                    format!(
                        "Add [bridge.layers.{name}] with `layer = <number>`, or [bridge.attachments.{name}] with \
                         `of = <collection>`"
                    ),
                ),
                (Some(_), Some(_)) => find(
                    &format!("[bridge.attachments.{name}]"),
                    format!("the collection `{name}` is a layer and attachments, too"),
                    "Take one of the two out".to_owned(),
                ),
            }
        }
        let left = part.layers.keys().map(|name| ("layers", name));
        for (table, name) in left.chain(part.attachments.keys().map(|name| ("attachments", name))) {
            find(
                &format!("[bridge.{table}.{name}]"),
                format!("[bridge.{table}.{name}] belongs to no collection"),
                format!("Add [collections.{name}], or take it out"),
            );
        }
        for (name, attached) in attachments.iter().filter(|(_, part)| !of_collections.contains_key(&part.of))
        {
            find(
                &format!("[bridge.attachments.{name}]"),
                format!(
                    "[bridge.attachments.{name}] is of `{}`, which is no layer's collection",
                    attached.of
                ),
                "Name one".to_owned(),
            );
        }
        if findings.is_empty() {
            let overlap = chrono::TimeDelta::seconds(part.overlap_seconds);
            Ok(Self { system, overlap, of_collections, attachments })
        } else {
            Err(ConfigError::Wrong(findings).into())
        }
    }
}

/// Everything that the bridge needs of its settings, checked.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    pub(crate) system: SystemName,
    pub(crate) overlap: chrono::TimeDelta,
    pub(crate) layers: BTreeMap<CollectionName, (Collection, LayerPart)>,
    /// Each is of one of the layers.
    pub(crate) attachments: BTreeMap<CollectionName, AttachmentPart>,
    pub(crate) address: ServiceUrl,
    pub(crate) credential: Credential,
    pub(crate) calls_per_day: Option<u32>,
}

impl ServiceSettings {
    /// Takes the layers from the file of the system, and the address and sign-in from the environment.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let Layers { system, overlap, of_collections: layers, attachments } = Layers::read(&settings.config)?;
        Ok(Self {
            system,
            overlap,
            layers,
            attachments,
            address: ServiceUrl::parse(&settings.gis.gis_service_url)?,
            credential: Credential::of(&settings.gis)?,
            calls_per_day: settings.gis.gis_calls_per_day,
        })
    }
}

/// A problem, and what to do.
type Wrong = (String, String);

/// The fields by which a row is looked up must be there to be compared.
fn checked_lookup(declared: &Collection, layer: &LayerPart) -> Result<(), Wrong> {
    match layer.lookup.iter().find(|name| declared.field(name).is_none()) {
        Some(name) => Err((
            format!("names `{name}` under lookup, which is no field of the collection"),
            "Declare it, or take it out".to_owned(),
        )),
        None => Ok(()),
    }
}

/// What an attachment shows is the same everywhere.
fn checked_attachments(declared: &Collection, attached: &AttachmentPart) -> Result<(), Wrong> {
    if declared.key != ID {
        return Err((format!("has the key `{}`", declared.key), format!("Attachments have none but `{ID}`")));
    }
    if declared.parent.as_ref() != Some(&attached.of) {
        let mend = format!("Add `parent = \"{}\"`: its attachments hang on those rows", attached.of);
        return Err(("has another parent".to_owned(), mend));
    }
    let known = [ID, NAME, CONTENT_TYPE, CONTENT];
    match declared.fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            Err((format!("has a field `{name}`"), format!("Attachments have {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_sign_in_is_named() {
        let mut env: GisEnv = env::read_from([
            ("GIS_SERVICE_URL".to_owned(), "https://h/FeatureServer".to_owned()),
            ("GIS_USERNAME".to_owned(), "bridge".to_owned()),
        ])
        .unwrap();
        let error = Credential::of(&env).unwrap_err().to_string();
        assert!(error.starts_with("GIS_USERNAME is set without GIS_PASSWORD"), "{error}");
        env.gis_token = Some("t".into());
        assert!(Credential::of(&env).is_err());
        env.gis_username = None;
        assert!(matches!(Credential::of(&env), Ok(Credential::Token(_))));
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let text = "overlap_seconds = 5\n[layers.a]\nlayer = 2\nedit = 'x'";
        let error = toml::from_str::<BridgePart>(text).unwrap_err().to_string();
        assert!(error.contains("`edit`"), "{error}");
    }

    #[test]
    fn everything_wrong_in_the_file_is_told_at_once_with_its_line_and_the_real_path() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["systems", "routes"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let text = "system = 'gis'\n[collections.a]\nkey = 'k'\nfields = { k = 'text' }\n\
                    [bridge]\noverlap_seconds = -1\n[bridge.layers.b]\nlayer = 2\n";
        std::fs::write(folder.path().join("systems/gis.toml"), text).unwrap();
        let error =
            Settings::check_file(&ConfigFolder::read(folder.path()).unwrap()).unwrap_err().to_string();
        let path = folder.path().join("systems/gis.toml");
        let told: Vec<_> =
            error.lines().map(|line| line.replace(path.to_str().unwrap(), "gis.toml")).collect();
        assert_eq!(
            told,
            [
                "gis.toml:6: [bridge] overlap_seconds is -1. It must be from 0 to 86400",
                "gis.toml:2: the collection `a` has no layer. Add [bridge.layers.a] with `layer = <number>`, or \
                 [bridge.attachments.a] with `of = <collection>`",
                "gis.toml:7: [bridge.layers.b] belongs to no collection. Add [collections.b], or take it out",
            ]
        );
    }

    #[test]
    fn attachments_that_are_declared_as_something_else_are_refused_with_words() {
        let part = AttachmentPart { of: CollectionName::parse("rows").unwrap() };
        let problem = |text: &str| {
            let (problem, mend) = checked_attachments(&toml::from_str(text).unwrap(), &part).unwrap_err();
            format!("{problem}. {mend}")
        };
        let fields = "[fields]\nid = 'text'";
        assert!(problem(&format!("key = 'name'\n{fields}")).contains("the key `name`"));
        assert!(problem(&format!("key = 'id'\n{fields}")).contains("Add `parent = \"rows\"`"));
        let other = format!("key = 'id'\nparent = 'rows'\n{fields}\nsize = 'int'");
        assert!(problem(&other).contains("a field `size`"));
    }

    #[test]
    fn a_lookup_by_a_field_that_is_not_declared_is_refused() {
        let declared: Collection = toml::from_str("key = 'a'\n[fields]\na = 'text'").unwrap();
        let layer = |lookup: &str| toml::from_str(&format!("layer = 6\nlookup = ['{lookup}']")).unwrap();
        assert!(checked_lookup(&declared, &layer("a")).is_ok());
        assert!(checked_lookup(&declared, &layer("b")).unwrap_err().0.contains("`b`"));
    }
}
