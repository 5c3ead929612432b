//! A started sandbox with a connected app.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use sandbox::client::{Answer, Consent};
use sandbox::{Admin, ClioOptions, GisOptions, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use url::Url;

/// The callback address of the app in these tests. Nothing listens there: the redirect is only read.
pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/callback";

pub(crate) fn options() -> SandboxOptions {
    SandboxOptions {
        clio: ClioOptions {
            redirect_uris: vec![CALLBACK.to_owned()],
            rate_limit: Some(10_000),
            ..ClioOptions::default()
        },
        gis: GisOptions::city(5, 1),
        ..SandboxOptions::default()
    }
}

pub(crate) fn browser() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub(crate) struct House {
    pub(crate) sandbox: Sandbox,
    pub(crate) admin: Admin,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(options()).await
    }

    pub(crate) async fn open_with(options: SandboxOptions) -> Self {
        let sandbox = Sandbox::start(options).await.unwrap();
        let admin = sandbox.admin();
        let http = browser();
        let mut house = Self { sandbox, admin, http, token: String::new() };
        house.sign_in().await;
        house
    }

    pub(crate) fn authorize_url(&self) -> Url {
        let mut url = self.sandbox.url().join("oauth/authorize").unwrap();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", "sandbox-key")
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("state", "of the browser");
        url
    }

    /// Consents and gives the parameters that came back.
    pub(crate) async fn consent(&self, url: &Url, answer: Answer) -> Vec<(String, String)> {
        match self.admin.consent(url, answer).await.unwrap() {
            Consent::Redirect(location) => {
                assert!(location.as_str().starts_with(CALLBACK));
                location.query_pairs().into_owned().collect()
            }
            Consent::Page { status, html } => panic!("a page {status} instead of a redirect: {html}"),
        }
    }

    pub(crate) async fn code(&self) -> String {
        let back = self.consent(&self.authorize_url(), Answer::Allow).await;
        back.into_iter().find(|(name, _)| name == "code").unwrap().1
    }

    pub(crate) async fn ask_token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let own = [("client_id", "sandbox-key"), ("client_secret", "sandbox-secret")];
        let form: Vec<_> = own.iter().chain(form).collect();
        let response =
            self.http.post(self.sandbox.url().join("oauth/token").unwrap()).form(&form).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub(crate) async fn tokens(&self) -> Value {
        let code = self.code().await;
        let (status, body) = self
            .ask_token(&[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)])
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// Consents again and uses the new access token from now on.
    pub(crate) async fn sign_in(&mut self) {
        let tokens = self.tokens().await;
        tokens["access_token"].as_str().unwrap().clone_into(&mut self.token);
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}api/v4/{path}", self.sandbox.url());
        self.http.request(method, url).bearer_auth(&self.token)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, data: &Value) -> Response {
        self.request(method, path).json(&json!({"data": data})).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(crate) async fn status_of_get(&self, path: &str) -> u16 {
        self.request(Method::GET, path).send().await.unwrap().status().as_u16()
    }

    /// Makes a record and gives its id.
    pub(crate) async fn create(&self, path: &str, data: &Value) -> i64 {
        let response = self.send(Method::POST, path, data).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{path}: {body}");
        body["data"]["id"].as_i64().unwrap()
    }

    /// What a bridge makes before its first matter.
    pub(crate) async fn furnish(&self) -> Furniture {
        let field = |name: &'static str, field_type: &'static str| async move {
            let data = json!({"name": name, "parent_type": "Matter", "field_type": field_type});
            self.create("custom_fields", &data).await
        };
        let options = json!([{"option": "Hearing"}, {"option": "Stay"}]);
        let status = json!({
            "name": "Court Status", "parent_type": "Matter", "field_type": "picklist",
            "picklist_options": options,
        });
        let court_status = self.create("custom_fields?fields=id", &status).await;
        let path = format!("custom_fields/{court_status}?fields=picklist_options{{id,option}}");
        let options = self.get(&path).await["data"]["picklist_options"].clone();
        Furniture {
            client: self
                .create("contacts", &json!({"name": "NP Clinic Client Test", "type": "Company"}))
                .await,
            group: self.create("groups", &json!({"name": "NP Clinic"})).await,
            area: self.create("practice_areas", &json!({"name": "Neighborhood Preservation Test"})).await,
            warrant: field("Civil Warrant", "text_line").await,
            object: field("GIS Object ID", "numeric").await,
            court_status,
            hearing: options[0]["id"].as_i64().unwrap().to_string(),
            stay: options[1]["id"].as_i64().unwrap().to_string(),
        }
    }
}

pub(crate) struct Furniture {
    pub(crate) client: i64,
    pub(crate) group: i64,
    pub(crate) area: i64,
    pub(crate) warrant: i64,
    pub(crate) object: i64,
    pub(crate) court_status: i64,
    pub(crate) hearing: String,
    pub(crate) stay: String,
}

impl Furniture {
    pub(crate) fn matter(&self, warrant: &str) -> Value {
        json!({
            "client": {"id": self.client},
            "group": {"id": self.group},
            "practice_area": {"id": self.area},
            "description": format!("Civil Warrant {warrant}"),
            "custom_field_values": [
                {"custom_field": {"id": self.warrant}, "value": warrant},
                {"custom_field": {"id": self.court_status}, "value": self.hearing},
            ],
        })
    }
}

pub(crate) async fn error_of(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["error"]["type"].as_str().unwrap_or_default().to_owned())
}
