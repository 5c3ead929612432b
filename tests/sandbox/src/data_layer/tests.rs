use serde_json::json;

use super::*;
use crate::gis::FieldType;

/// The layer of a file with these contents.
fn read(contents: &str) -> Result<DataLayer, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.json");
    std::fs::write(&path, contents).unwrap();
    layer_from_file(&path, 2).map_err(|error| error.to_string())
}

fn read_json(contents: &Value) -> DataLayer {
    read(&contents.to_string()).unwrap()
}

fn column(read: &DataLayer, name: &str) -> Vec<Value> {
    read.layer.features().into_iter().map(|feature| feature.attributes[name].clone()).collect()
}

fn kind(read: &DataLayer, name: &str) -> FieldType {
    let field = read.layer.fields().iter().find(|field| field.name == name);
    field.unwrap_or_else(|| panic!("no field {name}")).field_type
}

fn feature(properties: &Value, geometry: &Value) -> Value {
    json!({ "type": "Feature", "properties": properties, "geometry": geometry })
}

fn collection(features: &[Value]) -> Value {
    json!({ "type": "FeatureCollection", "features": features })
}

fn point(lon: f64, lat: f64) -> Value {
    json!({ "type": "Point", "coordinates": [lon, lat] })
}

fn answer(rows: &[Value]) -> Value {
    json!({
        "geometryType": "esriGeometryPoint",
        "spatialReference": { "wkid": 4326 },
        "fields": [
            { "name": "FID", "type": "esriFieldTypeOID", "alias": "FID" },
            { "name": "globalid", "type": "esriFieldTypeGlobalID", "alias": "globalid", "length": 38 },
            { "name": "Warrant", "type": "esriFieldTypeString", "alias": "Civil Warrant", "length": 9 },
            { "name": "EditDate", "type": "esriFieldTypeDate", "alias": "EditDate" },
        ],
        "features": rows,
    })
}

fn row(id: i64, warrant: &str) -> Value {
    json!({ "attributes": { "FID": id, "Warrant": warrant }, "geometry": { "x": -90.0, "y": 35.0 } })
}

#[test]
fn geojson_gives_typed_fields_and_points() {
    let read = read_json(&collection(&[
        feature(
            &json!({ "Case": "E-1", "Floors": 2, "Score": 1.5, "Parcel": 3_047_040_044_i64, "Open": true,
                "NextCourtDate": 1_771_255_800_000_i64, "Inspected": "2026-02-16T15:30:00Z", "Day": "2026-02-16" }),
            &point(-90.2, 35.1),
        ),
        feature(&json!({ "Case": "E-2", "Floors": null, "Score": 2, "Open": "maybe" }), &point(-90.0, 35.0)),
    ]));
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    assert_eq!(kind(&read, "Floors"), FieldType::Integer);
    assert_eq!(kind(&read, "Score"), FieldType::Double);
    assert_eq!(kind(&read, "Parcel"), FieldType::BigInteger);
    assert_eq!(column(&read, "Open"), [json!("true"), json!("maybe")]);
    for name in ["NextCourtDate", "Inspected", "Day"] {
        assert_eq!(kind(&read, name), FieldType::Date, "{name}");
    }
    assert_eq!(column(&read, "NextCourtDate")[0], json!(1_771_255_800_000_i64));
    assert_eq!(column(&read, "Inspected"), [json!(1_771_255_800_000_i64), Value::Null]);
    assert_eq!(column(&read, "Day")[0], json!(1_771_200_000_000_i64));
    let place = &read.layer.features()[0];
    assert!((place.lon.unwrap() + 90.2).abs() < 1e-8 && (place.lat.unwrap() - 35.1).abs() < 1e-8);
}

#[test]
fn a_wrong_feature_is_named_and_the_others_pass() {
    let read = read_json(&collection(&[
        feature(&json!({ "Case": "E-1" }), &point(-90.2, 35.1)),
        json!("no feature"),
        feature(&json!(["E-3"]), &point(-90.2, 35.1)),
        feature(&json!({ "Case": "E-4" }), &Value::Null),
        feature(&json!({ "Case": "E-5" }), &json!({ "type": "Polygon", "coordinates": [] })),
        feature(&json!({ "Case": "E-6" }), &point(-190.2, 35.1)),
        feature(&json!({ "Case": { "of": "E-7" } }), &point(-90.2, 35.1)),
    ]));
    assert_eq!(column(&read, "Case"), ["E-1", "E-4", "E-5", "E-6"]);
    let expected = ["feature 2: ", "feature 3: ", "feature 4: ", "feature 5: ", "feature 6: ", "feature 7: "];
    assert_eq!(read.warnings.len(), expected.len(), "{:?}", read.warnings);
    for (warning, beginning) in read.warnings.iter().zip(expected) {
        assert!(warning.starts_with(beginning), "{warning}");
    }
    assert!(read.layer.features()[1..].iter().all(|feature| feature.lon.is_none()));
}

#[test]
fn without_any_geometry_the_layer_is_a_table_and_nothing_is_wrong() {
    let read = read_json(&collection(&[feature(&json!({ "Case": "E-1" }), &Value::Null)]));
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    assert_eq!(read.layer.len(), 1);
}

#[test]
fn an_arcgis_answer_keeps_its_fields_and_its_ids() {
    let id = "{0A1B2C3D-0000-4000-8000-00000000ABCD}";
    let rows = [
        json!({ "attributes": { "FID": 17, "globalid": id, "Warrant": "E-1", "EditDate": 1_771_255_800_000_i64 },
            "geometry": { "x": -10_018_754.17, "y": 4_163_881.14, "spatialReference": { "wkid": 102_100 } } }),
        json!({ "attributes": { "FID": 3, "Warrant": "a longer one than nine", "EditDate": "2026-02-16T15:30:00Z" },
            "geometry": { "x": -90.0, "y": 35.0 } }),
    ];
    let read = read_json(&answer(&rows));
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    assert_eq!(column(&read, "FID"), [3, 17]);
    assert_eq!(column(&read, "globalid")[1], id);
    assert_eq!(column(&read, "EditDate"), [1_771_255_800_000_i64, 1_771_255_800_000]);
    let names: Vec<_> = read.layer.fields().iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["FID", "globalid", "Warrant", "EditDate", "CreationDate", "Creator", "Editor"]);
    assert!(read.layer.features().iter().all(|row| (row.lon.unwrap() + 90.0).abs() < 1e-6));
}

#[test]
fn pages_in_an_array_or_one_after_the_other_make_one_layer_and_name_their_rows() {
    let pages = [answer(&[row(1, "E-1"), row(2, "E-2")]), answer(&[row(2, "E-2"), row(3, "E-3"), json!({})])];
    for text in [json!(pages).to_string(), format!("{}\n{}", pages[0], pages[1])] {
        let read = read(&text).unwrap();
        assert_eq!(column(&read, "Warrant"), ["E-1", "E-2", "E-3"]);
        assert_eq!(read.warnings.len(), 2, "{:?}", read.warnings);
        assert!(read.warnings[0].starts_with("page 2, feature 1: "), "{:?}", read.warnings);
        assert!(read.warnings[1].starts_with("page 2, feature 3: "), "{:?}", read.warnings);
    }
}

#[test]
fn a_row_whose_value_is_none_of_its_field_is_left_out_and_named() {
    let wrong = json!({ "attributes": { "FID": 2, "Warrant": "E-2", "EditDate": "tomorrow" } });
    let nowhere = json!({ "attributes": { "FID": 3, "Warrant": "E-3" },
        "geometry": { "x": 1.0, "y": 1.0, "spatialReference": { "wkid": 2277 } } });
    let read = read_json(&answer(&[row(1, "E-1"), wrong, nowhere]));
    assert_eq!(column(&read, "Warrant"), ["E-1", "E-3"]);
    let text = read.warnings.join("\n");
    assert!(text.contains("feature 2: 'EditDate' cannot be \"tomorrow\""), "{text}");
    assert!(text.contains("feature 3: its spatial reference") && text.contains("2277"), "{text}");
}

#[test]
fn what_makes_no_layer_is_refused_with_its_reason() {
    for (contents, reason) in [
        ("{\"features\": [", "begins like JSON, but is none"),
        ("{\"count\": 5}", "neither a GeoJSON FeatureCollection nor an answer of an ArcGIS query"),
        ("{\"objectIds\": [1], \"objectIdFieldName\": \"FID\"}", "its keys are objectIdFieldName, objectIds"),
        ("{\"error\": {\"code\": 498, \"message\": \"Invalid token.\"}}", "Invalid token."),
        ("[]", "it holds nothing"),
        ("[1]", "no object at all"),
        ("[{\"type\": \"FeatureCollection\", \"features\": []}, {\"features\": []}]", "mixes"),
        ("[{\"features\": []}, {\"count\": 1}]", "part 2 of it"),
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("<!DOCTYPE html>\n<html lang=\"en\">", "`f=json` is left out"),
    ] {
        let error = read(contents).unwrap_err();
        assert!(error.contains(reason) && error.contains("cases.json"), "{contents}: {error}");
    }
    assert!(layer_from_file(Path::new("/no/such/file"), 2).unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn a_layer_of_areas_or_lines_is_refused_and_a_single_one_among_points_is_named() {
    let areas = json!({ "type": "Polygon", "coordinates": [] });
    let error = read(&collection(&[feature(&json!({ "Case": "E-1" }), &areas)]).to_string()).unwrap_err();
    assert!(error.contains("no points but `Polygon`"), "{error}");
    let rings = |id: i64| json!({ "attributes": { "FID": id }, "geometry": { "rings": [] } });
    let error = read(&answer(&[rings(1), rings(2)]).to_string()).unwrap_err();
    assert!(error.contains("no points but polygons"), "{error}");
    let mixed = read_json(&answer(&[row(1, "E-1"), rings(2)]));
    assert_eq!((mixed.layer.len(), mixed.warnings.len()), (2, 1), "{:?}", mixed.warnings);
}

#[test]
fn that_the_server_had_more_rows_is_told_first_unless_they_follow() {
    let with = |mut page: Value, flag: &Value| {
        page["exceededTransferLimit"] = flag.clone();
        page
    };
    let points = collection(&[feature(&json!({ "Case": "E-1" }), &point(-90.2, 35.1))]);
    let mut under_properties = points.clone();
    under_properties["properties"] = json!({ "exceededTransferLimit": true });
    let cut = with(answer(&[row(1, "E-1"), json!({})]), &json!(true));
    for page in [cut.clone(), with(points, &json!(true)), under_properties] {
        let read = read_json(&page);
        assert!(read.warnings[0].starts_with("rows are missing"), "{:?}", read.warnings);
    }
    let last = with(answer(&[row(2, "E-2")]), &json!(false));
    let all = read(&format!("{cut}\n{last}")).unwrap();
    assert!(!all.warnings.iter().any(|it| it.contains("rows are missing")), "{:?}", all.warnings);
}

#[test]
fn a_file_tells_what_it_is_and_what_its_parts_are_called() {
    let told = |read: DataLayer| (read.form, read.form.word(), read.names);
    let geojson = read_json(&collection(&[feature(&json!({ "Case no": "E-1" }), &point(-90.2, 35.1))]));
    assert_eq!(told(geojson), (DataForm::GeoJson, "property", vec!["Case no".to_owned()]));
    let csv = read("Case no,text\n1,one\n").unwrap();
    assert_eq!(told(csv), (DataForm::Csv, "column", vec!["Case no".to_owned(), "text".to_owned()]));
    let (form, word, names) = told(read_json(&answer(&[row(1, "E-1")])));
    assert_eq!((form, word), (DataForm::ArcGis, "field"));
    assert!(names.contains(&"Warrant".to_owned()), "{names:?}");
}

#[test]
fn csv_is_still_read_with_its_lines_named() {
    let read = read("id,text\n1,one\n2\n").unwrap();
    assert_eq!(column(&read, "text"), ["one"]);
    assert!(read.warnings[0].starts_with("line 3: "), "{:?}", read.warnings);
}

#[test]
fn recorded_answers_are_read_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/arcgis");
    let expected = [
        ("arcgis-rest-js/pairs/arcGISPointResponse.json", 1, 1),
        ("arcgis-rest-js/pairs/geoJSONPointResponse.json", 1, 1),
        ("arcgis-rest-js/feature--queryResponse.json", 2, 2),
        ("pyesridump/us-esri-test--us-esri-test-0.json", 1000, 162),
        ("pyesridump/us-il-cook--page-full.json", 500, 0),
        ("koop-winnow/esri.json", 12, 13),
        ("koop-winnow/dates.json", 4, 0),
        ("koop-winnow/trees-feature-id.json", 24, 0),
    ];
    if !folder.exists() {
        println!("skipped: {} is not here", folder.display());
        return;
    }
    let read = expected.map(|(name, ..)| {
        let read = layer_from_file(&folder.join(name), 2).unwrap();
        (name, read.layer.len(), read.warnings.len())
    });
    assert_eq!(read, expected);
    for name in [
        "arcgis-rest-js/pairs/arcGISPolygonResponse.json",
        "arcgis-rest-js/pairs/geoJSONPolygonResponse.json",
        "pyesridump/us-mi-kent--us-mi-kent-0.json",
        "pyesridump/us-mi-kent--us-mi-kent-statistics.json",
        "pyesridump/us-ca-carson--us-ca-carson-count-only.json",
    ] {
        let error = layer_from_file(&folder.join(name), 2).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}
