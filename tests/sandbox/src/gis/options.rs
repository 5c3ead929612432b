//! What an ArcGIS half is made with.

use serde::{Deserialize, Serialize};

use super::layer::Layer;
use crate::city::litigation_history;

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
    /// The active litigations of a sample city, layer 2, dated before the clock's time at the start.
    City {
        /// How many litigations.
        count: usize,
        /// Other seeds give other litigations.
        seed: u64,
    },
    /// A layer as it is.
    Ready(Layer),
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
    /// How many rows an answer has at most.
    pub max_record_count: usize,
}

impl Default for GisOptions {
    fn default() -> Self {
        Self {
            service: "Code/Litigations".to_owned(),
            layers: city_layers(1000, 1),
            auth: GisAuth::None,
            username: "databridge".to_owned(),
            password: "sandbox-password".to_owned(),
            token: "sandbox-token".to_owned(),
            max_record_count: 2000,
        }
    }
}

impl GisOptions {
    /// The sample city with another number of litigations, and its history layer.
    pub fn city(count: usize, seed: u64) -> Self {
        Self { layers: city_layers(count, seed), ..Self::default() }
    }

    /// A service of these layers only.
    pub fn layers(layers: Vec<Layer>) -> Self {
        Self { layers: layers.into_iter().map(LayerSource::Ready).collect(), ..Self::default() }
    }
}

fn city_layers(count: usize, seed: u64) -> Vec<LayerSource> {
    vec![LayerSource::City { count, seed }, LayerSource::Ready(litigation_history())]
}
