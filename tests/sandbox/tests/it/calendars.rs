//! Calendars and their entries: what a body needs, which filters there are, what a person does with them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, header};
use sandbox::clio::hand::{EntryEdit, NewEntry, Property};
use serde_json::{Value, json};

use crate::house::{House, error_of};

const SHOWN: &str = "fields=id,etag,summary,description,location,start_at,end_at,all_day,recurrence_rule,\
    calendar_owner_id,created_at,updated_at,matter{id},calendar_owner{id,name},\
    external_properties{id,name,value}";

struct Court {
    house: House,
    matter: i64,
    calendar: i64,
}

impl Court {
    async fn open() -> Self {
        let house = House::open().await;
        let furniture = house.furnish().await;
        let matter = house.create("matters", &furniture.matter("E-23-00017")).await;
        let calendar = house.create("calendars", &json!({"name": "NP Clinic Calendar"})).await;
        Self { house, matter, calendar }
    }

    fn entry(&self) -> Value {
        json!({
            "summary": "Hearing", "start_at": "2026-12-01T15:00:00-06:00", "end_at": "2026-12-01T15:30:00-06:00",
            "calendar_owner": {"id": self.calendar}, "matter": {"id": self.matter},
            "external_properties": [{"name": "DATABRIDGE_ID", "value": "push-1"}],
        })
    }

    /// Makes an entry and gives its id, which is a text.
    async fn create(&self, data: &Value) -> String {
        let response = self.house.send(Method::POST, "calendar_entries", data).await;
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.unwrap()["data"]["id"].as_str().unwrap().to_owned()
    }

    async fn shown(&self, id: &str) -> Value {
        self.house.get(&format!("calendar_entries/{id}?{SHOWN}")).await["data"].clone()
    }

    async fn patch(&self, id: &str, data: Value) -> u16 {
        self.house.send(Method::PATCH, &format!("calendar_entries/{id}"), &data).await.status().as_u16()
    }

    async fn found(&self, query: &[(&str, &str)]) -> Vec<String> {
        let request = self.house.request(Method::GET, "calendar_entries").query(query);
        let found: Value = request.send().await.unwrap().json().await.unwrap();
        let ids = found["data"].as_array().unwrap_or_else(|| panic!("{found}")).iter();
        ids.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_calendar_is_found_by_no_name_filter_and_lookalikes_stand_beside_it() {
    let court = Court::open().await;
    let house = &court.house;
    let list = house
        .get("calendars?fields=id,name,type,permission,color,visible,creator{id,name}&order=name(asc)")
        .await;
    let names: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|calendar| calendar["name"].clone()).collect();
    for name in ["NP Clinic Calendar", "np clinic calendar", "NP Clinic Calendar Archive", "Ada Lawson"] {
        assert!(names.contains(&json!(name)), "{name}");
    }
    house.get("calendars?name=NP Clinic Calendar").await;
    assert_eq!(house.admin.strays().await.unwrap().len(), 1, "there is no filter by name");
    let adhoc = house.get("calendars?type=AdhocCalendar&writeable=true&visible=true").await;
    assert_eq!(adhoc["data"].as_array().unwrap().len(), 3);
    assert_eq!(house.status_of_get("calendars?type=Court").await, 400);
    for body in [json!({}), json!({"name": " "}), json!({"name": "x", "color": "red"})] {
        assert_eq!(house.send(Method::POST, "calendars", &body).await.status(), 422, "{body}");
    }
}

#[tokio::test]
async fn an_entry_has_a_text_as_its_id_and_is_reached_by_the_number() {
    let court = Court::open().await;
    let id = court.create(&court.entry()).await;
    let shown = court.shown(&id).await;
    assert_eq!(shown["id"], json!(id));
    assert_eq!(shown["start_at"], "2026-12-01T21:00:00Z");
    assert_eq!(shown["end_at"], "2026-12-01T21:30:00Z");
    assert_eq!((&shown["all_day"], &shown["recurrence_rule"]), (&json!(false), &Value::Null));
    assert_eq!(shown["calendar_owner"], json!({"id": court.calendar, "name": "NP Clinic Calendar"}));
    assert_eq!(shown["matter"]["id"], court.matter);
    assert_eq!(shown["external_properties"][0]["value"], "push-1");
    assert_eq!(court.found(&[("ids[]", &id)]).await, [id]);
}

#[tokio::test]
async fn an_entry_needs_summary_start_end_and_calendar() {
    let court = Court::open().await;
    for missing in ["summary", "start_at", "end_at", "calendar_owner"] {
        for value in [None, Some(Value::Null)] {
            let mut data = court.entry();
            data.as_object_mut().unwrap().remove(missing);
            if let Some(value) = value {
                data[missing] = value;
            }
            let response = court.house.send(Method::POST, "calendar_entries", &data).await;
            assert_eq!(error_of(response).await.0, 422, "{missing}");
        }
    }
    for (key, value) in [
        ("summary", json!(" ")),
        ("summary", json!("x".repeat(256))),
        ("start_at", json!("2026-12-01")),
        ("start_at", json!("2026-12-01T15:00:00")),
        ("end_at", json!("2026-12-01T14:00:00-06:00")),
        ("calendar_owner", json!({"id": 1})),
        ("matter", json!({"id": 1})),
        ("all_day", json!("yes")),
    ] {
        let mut data = court.entry();
        data[key] = value.clone();
        let response = court.house.send(Method::POST, "calendar_entries", &data).await;
        assert_eq!(error_of(response).await.0, 422, "{key} {value}");
    }
}

#[tokio::test]
async fn an_entry_is_changed_under_its_etag_and_never_ends_before_it_starts() {
    let court = Court::open().await;
    let id = court.create(&court.entry()).await;
    let before = court.shown(&id).await;
    assert_eq!(court.patch(&id, json!({"start_at": "2026-12-02T15:00:00-06:00"})).await, 422);
    assert_eq!(court.shown(&id).await, before);
    let moved = json!({"start_at": "2026-12-02T15:00:00-06:00", "end_at": "2026-12-02T15:30:00-06:00"});
    assert_eq!(court.patch(&id, moved.clone()).await, 200);
    let path = format!("calendar_entries/{id}");
    let stale =
        court.house.request(Method::PATCH, &path).header(header::IF_MATCH, before["etag"].as_str().unwrap());
    assert_eq!(stale.json(&json!({"data": moved})).send().await.unwrap().status(), 412);
    assert_eq!(court.patch(&id, json!({"matter": {"id": null}, "all_day": true})).await, 200);
    let after = court.shown(&id).await;
    assert_eq!((&after["matter"], &after["all_day"]), (&Value::Null, &json!(true)));
    let delete = async || court.house.request(Method::DELETE, &path).send().await.unwrap().status();
    assert_eq!(delete().await, 204);
    assert_eq!(delete().await, 404);
}

#[tokio::test]
async fn entries_are_found_by_calendar_matter_time_and_property() {
    let court = Court::open().await;
    let calendar = court.calendar.to_string();
    let mine = ("calendar_id", calendar.as_str());
    let id = court.create(&court.entry()).await;
    let between = court.house.admin.now().await.unwrap().to_rfc3339();
    court.house.admin.advance_clock(Duration::from_secs(60)).await.unwrap();
    let day = court
        .create(
            &json!({"summary": "Day", "start_at": "2026-12-03T06:00:00Z", "end_at": "2026-12-04T06:00:00Z",
            "calendar_owner": {"id": court.calendar}, "all_day": true}),
        )
        .await;
    let (id, day) = (id.as_str(), day.as_str());
    assert_eq!(court.found(&[mine]).await, [id, day]);
    assert_eq!(court.found(&[mine, ("matter_id", &court.matter.to_string())]).await, [id]);
    assert_eq!(court.found(&[mine, ("matter_id", "null")]).await, [day]);
    assert_eq!(court.found(&[mine, ("is_all_day", "true")]).await, [day]);
    assert_eq!(court.found(&[mine, ("updated_since", &between)]).await, [day]);
    for (from, expected) in [("21:30:00Z", 2), ("21:30:01Z", 1)] {
        let from = format!("2026-12-01T{from}");
        assert_eq!(court.found(&[mine, ("from", &from)]).await.len(), expected, "ends on or after {from}");
    }
    for (to, expected) in [("21:00:00Z", 1), ("20:59:59Z", 0)] {
        let to = format!("2026-12-01T{to}");
        assert_eq!(court.found(&[mine, ("to", &to)]).await.len(), expected, "begins on or before {to}");
    }
    let named = ("external_property_name", "DATABRIDGE_ID");
    assert_eq!(court.found(&[named]).await, [id]);
    assert_eq!(court.found(&[named, ("external_property_value", "push-1")]).await, [id]);
    assert_eq!(court.found(&[named, ("external_property_value", "push-2")]).await, [] as [&str; 0]);
    for path in ["external_property_value=push-1", "calendar_id=null", "from=2026-12-01", "limit=201"] {
        let status = court.house.status_of_get(&format!("calendar_entries?{path}")).await;
        assert!(matches!(status, 400 | 422), "{path}: {status}");
    }
}

#[tokio::test]
async fn lists_of_entries_know_no_order_and_page_by_their_next_link() {
    let court = Court::open().await;
    court.house.get("calendar_entries?order=id(desc)").await;
    let told: Vec<_> =
        court.house.admin.strays().await.unwrap().into_iter().map(|stray| stray.name).collect();
    assert_eq!(told, ["order"]);
    let mut page = court.house.get("calendar_entries?limit=7").await;
    let total = page["meta"]["records"].as_u64().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["meta"]["paging"]["next"].as_str() else { break };
        let (_, path) = next.split_once("/api/v4/").unwrap();
        page = court.house.get(path).await;
    }
    assert_eq!(seen.len() as u64, total);
}

#[tokio::test]
async fn external_properties_are_five_at_most_and_changed_by_their_id() {
    let court = Court::open().await;
    let properties = |count: usize| -> Value {
        (0..count).map(|index| json!({"name": format!("P{index}"), "value": "v"})).collect()
    };
    let mut data = court.entry();
    data["external_properties"] = properties(6);
    assert_eq!(court.house.send(Method::POST, "calendar_entries", &data).await.status(), 422);
    data["external_properties"] = properties(5);
    let id = court.create(&data).await;
    let held = court.shown(&id).await["external_properties"].clone();
    for wrong in [
        json!([{"name": "P5", "value": "v"}]),
        json!([{"id": 1, "value": "v"}]),
        json!([{"id": held[0]["id"], "value": ""}]),
        json!([{"id": held[0]["id"], "_destroy": true}, {"name": "P1", "value": "twice"}]),
        json!([{"id": held[0]["id"], "_destroy": true}, {"name": "no value"}]),
    ] {
        assert_eq!(court.patch(&id, json!({"external_properties": wrong})).await, 422, "{wrong}");
    }
    assert_eq!(court.shown(&id).await["external_properties"], held);
    let change = json!([{"id": held[0]["id"], "_destroy": true}, {"id": held[1]["id"], "value": "w"}, {"name": "Q", "value": "v"}]);
    assert_eq!(court.patch(&id, json!({"external_properties": change})).await, 200);
    let after = court.shown(&id).await["external_properties"].clone();
    let pairs: Vec<_> =
        after.as_array().unwrap().iter().map(|p| (p["name"].clone(), p["value"].clone())).collect();
    assert_eq!(pairs.len(), 5);
    assert_eq!(pairs[0], (json!("P1"), json!("w")));
    assert_eq!(pairs[4], (json!("Q"), json!("v")));
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_person_makes_edits_and_deletes_entries_also_recurring_ones() {
    let court = Court::open().await;
    let admin = &court.house.admin;
    let (start, end) = (at("2026-12-01T06:00:00Z"), at("2026-12-02T06:00:00Z"));
    let new = NewEntry {
        all_day: true,
        recurrence_rule: Some("FREQ=WEEKLY".to_owned()),
        external_properties: vec![
            Property::new("DATABRIDGE_ID", "twice"),
            Property::new("DATABRIDGE_ID", "twice"),
        ],
        ..NewEntry::new("NP Clinic Calendar", "Docket day", start, end).on(court.matter)
    };
    let made = admin.add_calendar_entry(&new).await.unwrap();
    let shown = court.shown(&made.id.to_string()).await;
    assert_eq!((&shown["all_day"], &shown["recurrence_rule"]), (&json!(true), &json!("FREQ=WEEKLY")));
    assert_eq!(shown["external_properties"].as_array().unwrap().len(), 2);
    admin.advance_clock(Duration::from_secs(60)).await.unwrap();
    let edit = EntryEdit {
        calendar: Some("Firm".to_owned()),
        start_at: Some(start + TimeDelta::hours(1)),
        recurrence_rule: Some(String::new()),
        off_matter: true,
        ..EntryEdit::default()
    };
    let edited = admin.edit_calendar_entry(made.id, &edit).await.unwrap();
    assert_eq!(
        (edited.calendar.as_str(), edited.matter, edited.recurrence_rule.as_deref()),
        ("Firm", None, None)
    );
    assert!(edited.updated_at > made.updated_at && edited.etag != made.etag);
    assert_eq!(edited.summary, "Docket day");
    assert!(admin.calendar_entries().await.unwrap().contains(&edited));
    let early = EntryEdit { end_at: Some(start), ..EntryEdit::default() };
    let error = admin.edit_calendar_entry(made.id, &early).await.unwrap_err();
    assert!(error.to_string().contains("422"), "{error}");
    admin.delete_calendar_entry(made.id).await.unwrap();
    for error in [
        admin.delete_calendar_entry(made.id).await.unwrap_err(),
        admin.add_calendar_entry(&NewEntry { calendar: "None".to_owned(), ..new.clone() }).await.unwrap_err(),
        admin.add_calendar_entry(&new.on(1)).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("404"), "{error}");
    }
}

#[tokio::test]
async fn a_deleted_calendar_takes_its_entries_and_a_deleted_matter_only_their_link() {
    let court = Court::open().await;
    let id = court.create(&court.entry()).await;
    let before = court.shown(&id).await;
    court.house.admin.delete_matter(court.matter).await.unwrap();
    let after = court.shown(&id).await;
    assert_eq!(after["matter"], Value::Null);
    assert_ne!(after["etag"], before["etag"]);
    court.house.admin.delete_calendar(court.calendar).await.unwrap();
    assert_eq!(court.house.status_of_get(&format!("calendar_entries/{id}")).await, 404);
    assert!(court.house.admin.delete_calendar(court.calendar).await.is_err());
    assert!(court.house.admin.add_calendar("NP Clinic Calendar").await.unwrap().id != court.calendar);
}

#[tokio::test]
async fn entries_of_other_calendars_are_there_from_the_start() {
    let house = House::open().await;
    let entries = house.admin.calendar_entries().await.unwrap();
    assert!(entries.len() > 15);
    assert!(entries.iter().all(|entry| entry.summary.contains("SECRET")));
    assert!(
        entries.iter().any(|entry| entry.matter.is_none())
            && entries.iter().any(|entry| entry.matter.is_some())
    );
}
