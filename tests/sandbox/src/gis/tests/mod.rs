//! The ArcGIS half as its clients meet it: by HTTP.

mod admin;
mod attachments;
mod edits;
mod fixtures;
mod history;
mod metadata;
mod query;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::{Feature, Field, GisOptions, GisState, Layer, admin_router, router};
use crate::clock::Clock;

const LAYER: &str = "/arcgis/rest/services/Code/Litigations/FeatureServer/2";

/// A server whose layer 2 has these warrants, at object ids 1, 2, 3 and so on.
struct Server {
    clock: Clock,
    state: Arc<GisState>,
    app: Router,
}

impl Server {
    fn with(options: GisOptions) -> Self {
        let clock = Clock::new();
        let state = Arc::new(GisState::new(clock.clone(), options));
        let app = Router::new()
            .nest("/arcgis", router(Arc::clone(&state)))
            .nest("/admin/gis", admin_router(Arc::clone(&state)));
        Self { clock, state, app }
    }

    fn of(warrants: &[&str]) -> Self {
        Self::with(GisOptions::layers(vec![cases(warrants)]))
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        json_of(self.send(Request::get(path).body(Body::empty()).unwrap()).await).await
    }

    /// Posts a form to an operation of layer 2, with `f=json`.
    async fn post(&self, operation: &str, form: &[(&str, &str)]) -> Value {
        let address = format!("{LAYER}/{operation}");
        json_of(self.send(form_request(&address, form)).await).await
    }

    async fn query(&self, form: &[(&str, &str)]) -> Value {
        self.post("query", form).await
    }

    /// The warrants that a `where` selects, by object id.
    async fn warrants(&self, condition: &str) -> Vec<String> {
        let form = [("where", condition), ("outFields", "CivilWarrant"), ("orderByFields", "OBJECTID")];
        let answer = self.query(&form).await;
        let features = answer["features"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let warrant = |feature: &Value| feature["attributes"]["CivilWarrant"].as_str().unwrap().to_owned();
        features.iter().map(warrant).collect()
    }

    /// All values of a row.
    async fn row(&self, object_id: i64) -> Value {
        let id = object_id.to_string();
        let answer = self.query(&[("objectIds", &id), ("outFields", "*"), ("outSR", "4326")]).await;
        answer["features"][0].clone()
    }

    async fn admin(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("/admin/gis/{path}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.send(request).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = || Value::from(String::from_utf8_lossy(&bytes).into_owned());
        (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
    }
}

fn cases(warrants: &[&str]) -> Layer {
    let fields = vec![
        Field::text("CivilWarrant", 10),
        Field::text("Owner", 20).required(),
        Field::integer("Floors"),
        Field::double("Score"),
        Field::date("NextCourtDate"),
        Field::text("Sealed", 20).read_only(),
    ];
    let mut layer = Layer::new(2, "Cases", fields);
    let feature = |warrant: &&str| Feature {
        attributes: object(&json!({ "CivilWarrant": warrant, "Owner": "Ada" })),
        lon: Some(-73.045_075),
        lat: Some(40.816_799),
    };
    layer.load(warrants.iter().map(feature).collect());
    layer
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn form_request(address: &str, form: &[(&str, &str)]) -> Request<Body> {
    let fields = form.iter().copied().chain([("f", "json")]);
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Request::post(address)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap()
}

/// The body of an answer, which ArcGIS gives with HTTP 200 also when it refuses.
async fn json_of(response: Response<Body>) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/json"), "{kind}");
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}

async fn text_of(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {answer}"))
}
