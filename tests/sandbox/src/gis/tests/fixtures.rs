//! Our answers beside those recorded from real servers, where the recordings are at hand.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// A recorded answer, or `None` with a message where the folder is not here.
fn recorded(name: &str) -> Option<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/arcgis").join(name);
    if !file.exists() {
        println!("skipped: {} is not here", file.display());
        return None;
    }
    Some(serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().cloned().collect()
}

#[tokio::test]
async fn a_page_of_features_has_the_keys_of_a_real_one() {
    let Some(real) = recorded("arcgis-rest-js/pairs/arcGISPointResponse.json") else { return };
    let server =
        Server::with(GisOptions { max_record_count: 1, ..GisOptions::layers(vec![cases(&["A", "B"])]) });
    let ours = server.query(&[("where", "1=1"), ("outFields", "*")]).await;
    assert_eq!(keys(&ours), keys(&real));
    assert_eq!(keys(&ours["features"][0]), keys(&real["features"][0]));
    assert_eq!(keys(&ours["features"][0]["geometry"]), keys(&real["features"][0]["geometry"]));
    assert_eq!(ours["spatialReference"], real["spatialReference"]);
    assert_eq!(ours["uniqueIdField"], real["uniqueIdField"]);
    let real_point = &real["features"][0]["geometry"];
    for axis in ["x", "y"] {
        let (ours, real) = (ours["features"][0]["geometry"][axis].as_f64(), real_point[axis].as_f64());
        assert!((ours.unwrap() - real.unwrap()).abs() < 0.001, "{axis}");
    }
}

#[tokio::test]
async fn refusals_are_the_recorded_ones() {
    let Some(required) = recorded("arcgis-rest-js/errors--ArcGISServerTokenRequired.json") else { return };
    let server = Server::with(GisOptions {
        auth: crate::gis::GisAuth::GenerateToken,
        ..GisOptions::layers(vec![cases(&["A"])])
    });
    assert_eq!(server.get(&format!("{LAYER}?f=json")).await, required);
    let invalid = recorded("arcgis-rest-js/errors--ArcGISOnlineAuthError.json").unwrap();
    assert_eq!(server.get(&format!("{LAYER}?f=json&token=x")).await, invalid);
    let refused = recorded("arcgis-rest-js/errors--GenerateTokenError.json").unwrap();
    let wrong = form_request("/arcgis/tokens/generateToken", &[("username", "a"), ("password", "b")]);
    assert_eq!(json_of(server.send(wrong).await).await, refused);
}

#[tokio::test]
async fn layer_metadata_tells_what_a_real_layer_tells() {
    let Some(real) = recorded("arcgis-rest-js/layerDefinition--layerDefinitionSid.json") else { return };
    let server = Server::of(&["A"]);
    let ours = keys(&server.get(&format!("{LAYER}?f=json")).await);
    // What says how to draw a layer is of no use to a client of its rows.
    let drawing = ["drawingInfo", "timeInfo"].map(str::to_owned);
    let missing: Vec<_> =
        keys(&real).into_iter().filter(|key| !ours.contains(key) && !drawing.contains(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
