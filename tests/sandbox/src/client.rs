//! A typed client of the admin side, for tests and the demo.

mod clio_records;
mod person;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use crate::calls::Calls;
use crate::clio::hand::{ClioSettings, FieldEdit, FieldPage, MatterEdit, MatterPage, Named, NewMatter};
use crate::faults::{Fault, FaultStatus};
pub use crate::gis::AttachmentPage as GisAttachment;
pub use crate::gis::Feature as GisFeature;
use crate::strays::Stray;
use crate::traffic::Traffic;

/// Why an admin call failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The sandbox could not be reached or did not answer in JSON.
    #[error("the sandbox's admin side did not answer as expected")]
    Http(#[from] reqwest::Error),
    /// The sandbox refused the call.
    #[error("the sandbox answered {status} to {method} {path}: {body}")]
    Refused {
        /// The status answered.
        status: u16,
        /// The verb.
        method: String,
        /// The path below `/admin`.
        path: String,
        /// The reason, as the sandbox words it.
        body: String,
    },
    /// The consent page was not what the client looks for.
    #[error("the consent page: {0}")]
    Consent(String),
}

/// What a person changes in a row of a layer. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GisEdit {
    /// Field values by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// A new longitude in WGS 84; `Some(None)` with a latitude of the same takes the place away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lon: Option<Option<f64>>,
    /// A new latitude in WGS 84.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lat: Option<Option<f64>>,
}

impl GisEdit {
    /// An edit of one field.
    pub fn field(name: &str, value: impl Into<Value>) -> Self {
        Self::default().and_field(name, value)
    }

    /// The same edit with one more field.
    #[must_use]
    pub fn and_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// The same edit with another place, or with none.
    #[must_use]
    pub fn and_place(mut self, lon_lat: Option<(f64, f64)>) -> Self {
        self.lon = Some(lon_lat.map(|(lon, _)| lon));
        self.lat = Some(lon_lat.map(|(_, lat)| lat));
        self
    }
}

/// A file that a person hangs on a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GisFile {
    /// The file's name.
    pub name: String,
    /// The file's type, such as `image/jpeg`.
    pub content_type: String,
    /// Its bytes.
    pub content: GisFileContent,
}

/// The bytes of a [`GisFile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GisFileContent {
    /// These.
    Bytes(Vec<u8>),
    /// As many as said, made by the sandbox when they are read. Other seeds give other bytes.
    Generated {
        /// What the bytes are made from.
        seed: u64,
        /// How many.
        size: u64,
    },
}

impl GisFile {
    /// A file of these bytes.
    pub fn of(name: &str, content_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let content = GisFileContent::Bytes(bytes.into());
        Self { name: name.to_owned(), content_type: content_type.to_owned(), content }
    }

    /// A file of so many bytes, which the sandbox makes.
    pub fn generated(name: &str, content_type: &str, seed: u64, size: u64) -> Self {
        let content = GisFileContent::Generated { seed, size };
        Self { name: name.to_owned(), content_type: content_type.to_owned(), content }
    }

    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("name", &self.name).append_pair("content_type", &self.content_type);
        if let GisFileContent::Generated { seed, size } = &self.content {
            query.append_pair("seed", &seed.to_string()).append_pair("size", &size.to_string());
        }
        query.finish()
    }

    fn bytes(&self) -> Vec<u8> {
        match &self.content {
            GisFileContent::Bytes(bytes) => bytes.clone(),
            GisFileContent::Generated { .. } => Vec::new(),
        }
    }
}

/// The button that a person presses at the consent page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Allow.
    Allow,
    /// Decline.
    Decline,
}

/// What Clio does after the consent page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Consent {
    /// The browser is sent to this address.
    Redirect(Url),
    /// A page is shown with this status, and the browser stays.
    Page {
        /// HTTP status.
        status: u16,
        /// The page.
        html: String,
    },
}

/// Talks to `/admin` of a sandbox.
#[derive(Debug, Clone)]
pub struct Admin {
    http: reqwest::Client,
    root: Url,
}

impl Admin {
    /// A client of the sandbox at this address, such as `http://127.0.0.1:8080`.
    pub fn at(root: Url) -> Result<Self, AdminError> {
        // Another part of the program may have chosen a provider already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .timeout(Duration::from_mins(1))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, root })
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<reqwest::Response, AdminError> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Self::answered(method, path, request).await
    }

    async fn send_bytes(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, AdminError> {
        Self::answered(method, path, self.request(method, path).body(body)).await
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let address = format!("{}admin/{path}", self.root);
        let verb = reqwest::Method::from_bytes(method.as_bytes()).unwrap_or(reqwest::Method::GET);
        self.http.request(verb, address)
    }

    async fn answered(
        method: &str,
        path: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, AdminError> {
        let response = request.send().await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(AdminError::Refused {
            status: response.status().as_u16(),
            method: method.to_owned(),
            path: path.to_owned(),
            body: response.text().await?,
        })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<T, AdminError> {
        Ok(self.send(method, path, Some(body)).await?.json().await?)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        Ok(self.send("GET", path, None).await?.json().await?)
    }

    async fn tell(&self, method: &str, path: &str, body: Value) -> Result<(), AdminError> {
        self.send(method, path, Some(body)).await.map(drop)
    }

    /// The calls counted so far.
    pub async fn calls(&self) -> Result<Calls, AdminError> {
        self.get("calls").await
    }

    /// Sets all counts to zero.
    pub async fn reset_calls(&self) -> Result<(), AdminError> {
        self.tell("POST", "calls/reset", json!({})).await
    }

    /// Starts a new recording of the traffic, or ends it.
    pub async fn record_traffic(&self, record: bool) -> Result<(), AdminError> {
        self.tell("POST", "traffic", json!({ "record": record })).await
    }

    /// The traffic recorded so far.
    pub async fn traffic(&self) -> Result<Vec<Traffic>, AdminError> {
        self.get("traffic").await
    }

    /// Requests to Clio outside the table of endpoints in use, and parameters and body keys outside it.
    pub async fn strays(&self) -> Result<Vec<Stray>, AdminError> {
        self.get("strays").await
    }

    /// Forgets the strays so far.
    pub async fn forget_strays(&self) -> Result<(), AdminError> {
        self.tell("DELETE", "strays", json!({})).await
    }

    /// Switches a fault on and gives its id.
    pub async fn fault(&self, fault: &Fault) -> Result<u64, AdminError> {
        let answer: IdAnswer = self.call("POST", "faults", json!(fault)).await?;
        Ok(answer.id)
    }

    /// All faults, and how often each has fired.
    pub async fn faults(&self) -> Result<Vec<FaultStatus>, AdminError> {
        self.get("faults").await
    }

    /// One fault, if it is still there.
    pub async fn fault_status(&self, id: u64) -> Result<Option<FaultStatus>, AdminError> {
        Ok(self.faults().await?.into_iter().find(|fault| fault.id == id))
    }

    /// Switches a fault off, letting go what waits at it.
    pub async fn remove_fault(&self, id: u64) -> Result<(), AdminError> {
        self.tell("DELETE", &format!("faults/{id}"), json!({})).await
    }

    /// Switches all faults off.
    pub async fn clear_faults(&self) -> Result<(), AdminError> {
        self.tell("DELETE", "faults", json!({})).await
    }

    /// Lets go the requests that wait at a `hold` or `hold_after`, and disarms it.
    pub async fn release(&self, id: u64) -> Result<(), AdminError> {
        self.tell("POST", &format!("faults/{id}/release"), json!({})).await
    }

    /// Moves the clock of both systems forward, in whole seconds.
    pub async fn advance_clock(&self, by: Duration) -> Result<(), AdminError> {
        self.tell("POST", "clock", json!({ "advance_seconds": by.as_secs() })).await
    }

    /// The time as both systems tell it.
    pub async fn now(&self) -> Result<DateTime<Utc>, AdminError> {
        let answer: NowAnswer = self.get("clock").await?;
        Ok(answer.now)
    }

    /// All matters of the account, the foreign ones too, by id.
    pub async fn matters(&self) -> Result<Vec<MatterPage>, AdminError> {
        self.get("clio/matters").await
    }

    /// Edits a matter as a person would.
    pub async fn edit_matter(&self, id: i64, edit: &MatterEdit) -> Result<MatterPage, AdminError> {
        self.call("PATCH", &format!("clio/matters/{id}"), json!(edit)).await
    }

    /// Makes a matter as a person would.
    pub async fn add_matter(&self, matter: &NewMatter) -> Result<MatterPage, AdminError> {
        self.call("POST", "clio/matters", json!(matter)).await
    }

    /// Deletes a matter.
    pub async fn delete_matter(&self, id: i64) -> Result<(), AdminError> {
        self.tell("DELETE", &format!("clio/matters/{id}"), json!({})).await
    }

    /// All custom fields of the account, the deleted and the foreign ones too.
    pub async fn custom_fields(&self) -> Result<Vec<FieldPage>, AdminError> {
        self.get("clio/custom_fields").await
    }

    /// Changes a custom field for matters, found by its exact name.
    pub async fn edit_custom_field(&self, name: &str, edit: &FieldEdit) -> Result<FieldPage, AdminError> {
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let path = format!("clio/custom_fields/{}", name.replace('+', "%20"));
        self.call("PATCH", &path, json!(edit)).await
    }

    /// All contacts.
    pub async fn contacts(&self) -> Result<Vec<Named>, AdminError> {
        self.get("clio/contacts").await
    }

    /// All groups.
    pub async fn groups(&self) -> Result<Vec<Named>, AdminError> {
        self.get("clio/groups").await
    }

    /// All practice areas.
    pub async fn practice_areas(&self) -> Result<Vec<Named>, AdminError> {
        self.get("clio/practice_areas").await
    }

    /// Everyone who may sign in at the consent page, of every firm; see [`ClioSettings::signed_in_user`].
    pub async fn users(&self) -> Result<Vec<Named>, AdminError> {
        self.get("clio/users").await
    }

    /// Turns switches of the Clio half.
    pub async fn clio_settings(&self, settings: &ClioSettings) -> Result<(), AdminError> {
        self.tell("POST", "clio/settings", json!(settings)).await
    }

    /// Revokes every access and refresh token, as a person does who removes the app.
    pub async fn revoke_tokens(&self) -> Result<(), AdminError> {
        self.tell("POST", "clio/revoke_tokens", json!({})).await
    }

    /// Opens the consent page at an authorisation address, as a browser would, and presses a button.
    pub async fn consent(&self, authorize: &Url, answer: Answer) -> Result<Consent, AdminError> {
        let page = self.http.get(authorize.clone()).send().await?;
        let status = page.status();
        let html = page.text().await?;
        if !status.is_success() {
            return Ok(Consent::Page { status: status.as_u16(), html });
        }
        let request = hidden_value(&html, "request")
            .ok_or_else(|| AdminError::Consent("it has no hidden field `request`".to_owned()))?;
        let decision = match answer {
            Answer::Allow => "allow",
            Answer::Decline => "decline",
        };
        let mut form_address = authorize.clone();
        form_address.set_query(None);
        let answered =
            self.http.post(form_address).form(&[("request", request), ("decision", decision)]).send().await?;
        let status = answered.status();
        let location = answered
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| Url::parse(value).ok());
        match location {
            Some(location) if status.is_redirection() => Ok(Consent::Redirect(location)),
            _ => Ok(Consent::Page { status: status.as_u16(), html: answered.text().await? }),
        }
    }

    /// The rows of a layer.
    pub async fn features(&self, layer: u32) -> Result<Vec<GisFeature>, AdminError> {
        self.get(&format!("gis/layers/{layer}/features")).await
    }

    /// Adds rows to a layer and gives their object ids, in order.
    pub async fn add_features(&self, layer: u32, features: &[GisFeature]) -> Result<Vec<i64>, AdminError> {
        self.call("POST", &format!("gis/layers/{layer}/features"), json!(features)).await
    }

    /// Edits a row of a layer as a person would.
    pub async fn edit_feature(&self, layer: u32, object_id: i64, edit: &GisEdit) -> Result<(), AdminError> {
        self.tell("PATCH", &format!("gis/layers/{layer}/features/{object_id}"), json!(edit)).await
    }

    /// Deletes a row of a layer.
    pub async fn delete_feature(&self, layer: u32, object_id: i64) -> Result<(), AdminError> {
        self.tell("DELETE", &format!("gis/layers/{layer}/features/{object_id}"), json!({})).await
    }

    /// All attachments of a layer, by row and id.
    pub async fn gis_attachments(&self, layer: u32) -> Result<Vec<GisAttachment>, AdminError> {
        self.get(&format!("gis/layers/{layer}/attachments")).await
    }

    /// Hangs a file on a row as a person would, and gives its id.
    pub async fn add_gis_attachment(
        &self,
        layer: u32,
        object_id: i64,
        file: &GisFile,
    ) -> Result<i64, AdminError> {
        let path = format!("gis/layers/{layer}/features/{object_id}/attachments?{}", file.query());
        let answer: IdOfAttachment = self.send_bytes("POST", &path, file.bytes()).await?.json().await?;
        Ok(answer.id)
    }

    /// Puts another file in the place of an attachment, which keeps its id.
    pub async fn replace_gis_attachment(
        &self,
        layer: u32,
        (object_id, id): (i64, i64),
        file: &GisFile,
    ) -> Result<(), AdminError> {
        let path = format!("gis/layers/{layer}/features/{object_id}/attachments/{id}?{}", file.query());
        self.send_bytes("PUT", &path, file.bytes()).await.map(drop)
    }

    /// Takes an attachment off its row.
    pub async fn delete_gis_attachment(
        &self,
        layer: u32,
        (object_id, id): (i64, i64),
    ) -> Result<(), AdminError> {
        self.tell("DELETE", &format!("gis/layers/{layer}/features/{object_id}/attachments/{id}"), json!({}))
            .await
    }

    /// The bytes of an attachment.
    pub async fn gis_attachment_bytes(
        &self,
        layer: u32,
        (object_id, id): (i64, i64),
    ) -> Result<Vec<u8>, AdminError> {
        let path = format!("gis/layers/{layer}/features/{object_id}/attachments/{id}");
        Ok(self.send("GET", &path, None).await?.bytes().await?.to_vec())
    }

    /// Turns switches of a layer: `max_record_count`, `service_limit`, `edit_tracking`, `last_edit_date`,
    /// `remove_field`, `high_precision`, `attachments`, `query_attachments`, `client_global_ids`, `table`.
    pub async fn layer_settings(&self, layer: u32, settings: Value) -> Result<(), AdminError> {
        self.tell("POST", &format!("gis/layers/{layer}/settings"), settings).await
    }

    /// Publishes a layer anew: every row, and every attachment, gets a new id and a new global id.
    pub async fn republish(&self, layer: u32) -> Result<(), AdminError> {
        self.tell("POST", &format!("gis/layers/{layer}/republish"), json!({})).await
    }

    /// Turns switches of the ArcGIS server: `auth` (`none`, `token`, `generate_token`), `token_lifetime_seconds`.
    pub async fn gis_settings(&self, settings: Value) -> Result<(), AdminError> {
        self.tell("POST", "gis/settings", settings).await
    }

    /// Ends every token that the ArcGIS server has generated.
    pub async fn expire_gis_tokens(&self) -> Result<(), AdminError> {
        self.tell("POST", "gis/expire_tokens", json!({})).await
    }
}

#[derive(Deserialize)]
struct NowAnswer {
    now: DateTime<Utc>,
}

#[derive(Deserialize)]
struct IdOfAttachment {
    id: i64,
}

#[derive(Deserialize)]
struct IdAnswer {
    id: u64,
}

fn hidden_value<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = html.split_once(&format!("name=\"{name}\" value=\""))?;
    after.split_once('"').map(|(value, _)| value)
}
