//! What an ArcGIS half is made with.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::layer::Layer;
use crate::city::City;

/// How the server wants to know who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GisAuth {
    /// Anyone may read and edit. A token that is sent all the same must be a good one.
    None,
    /// A long-lived token, which a person has made.
    Token,
    /// Tokens from `generateToken`, for user name and password.
    GenerateToken,
}

/// Where a layer comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerSource {
    /// The layers of a sample city, 2 and 6, dated before the clock's time at the start.
    City(City),
    /// A layer as it is.
    Ready(Box<Layer>),
}

/// How the ArcGIS half starts. Its admin side can change most of it later.
#[derive(Debug, Clone, PartialEq)]
pub struct GisOptions {
    /// The service's folder and name, the part of its address before `/FeatureServer`.
    pub service: String,
    /// The layers and tables of the service.
    pub layers: Vec<LayerSource>,
    /// How the server wants to know who asks.
    pub auth: GisAuth,
    /// The user who can generate tokens.
    pub username: String,
    /// That user's password.
    pub password: String,
    /// The long-lived token.
    pub token: String,
    /// How many rows an answer has at most, and how many attachments an answer to `queryAttachments`.
    pub max_record_count: usize,
    /// The folder that keeps uploaded attachments. Without one they end with the sandbox.
    pub attachment_folder: Option<PathBuf>,
}

impl Default for GisOptions {
    fn default() -> Self {
        Self {
            service: "Code/Litigations".to_owned(),
            layers: vec![LayerSource::City(City::new(1000, 1))],
            auth: GisAuth::None,
            username: "databridge".to_owned(),
            password: "sandbox-password".to_owned(),
            token: "sandbox-token".to_owned(),
            max_record_count: 2000,
            attachment_folder: None,
        }
    }
}

impl GisOptions {
    /// The usual sample city with another number of litigations.
    pub fn city(count: usize, seed: u64) -> Self {
        Self::of_city(City::new(count, seed))
    }

    /// A sample city.
    pub fn of_city(city: City) -> Self {
        Self { layers: vec![LayerSource::City(city)], ..Self::default() }
    }

    /// A service of these layers only.
    pub fn layers(layers: Vec<Layer>) -> Self {
        Self {
            layers: layers.into_iter().map(|layer| LayerSource::Ready(Box::new(layer))).collect(),
            ..Self::default()
        }
    }
}
