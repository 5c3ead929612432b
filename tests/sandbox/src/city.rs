//! A sample city: believable litigations against neglected properties, and the layers that hold them.

use chrono::{DateTime, Datelike, Duration, Timelike, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use crate::gis::{Feature, Field, Layer};

/// The number of the layer of active litigations.
pub const ACTIVE_LITIGATIONS: u32 = 2;
/// The number of the layer of litigation history.
pub const LITIGATION_HISTORY: u32 = 6;

/// The values of `Court_Status`.
pub const COURT_STATUSES: [&str; 14] = [
    "Demo",
    "Dev Plan",
    "Dismissed",
    "Hearing",
    "Initial Setting",
    "Initial Setting 2",
    "Initial Setting 3",
    "Initial Setting 4",
    "Non-Compliance",
    "Nuisance",
    "Payment",
    "Receiver",
    "Status",
    "Stay",
];

const STREETS: [&str; 20] = [
    "Lamar Ave",
    "Jackson Ave",
    "Chelsea Ave",
    "Vollintine Ave",
    "Airways Blvd",
    "Park Ave",
    "Southern Ave",
    "Barron Ave",
    "Kimball Ave",
    "Hollywood St",
    "Pendleton St",
    "Getwell Rd",
    "Mallory Ave",
    "Elvis Presley Blvd",
    "Trigg Ave",
    "McLemore Ave",
    "Thomas St",
    "Watkins St",
    "Frayser Blvd",
    "Overton Crossing St",
];
const DISTRICTS: [&str; 9] = [
    "1-Frayser",
    "2-Cordova",
    "3-Whitehaven",
    "4-Orange Mound",
    "5-Midtown",
    "6-South Memphis",
    "7-North Memphis",
    "8-Hickory Hill",
    "9-Berclair",
];
const FIRST_NAMES: [&str; 14] = [
    "James",
    "Mary",
    "Robert",
    "Patricia",
    "Willie",
    "Dorothy",
    "Charles",
    "Annie",
    "Luis",
    "Thi",
    "José",
    "Renée",
    "Earnestine",
    "Samuel",
];
const LAST_NAMES: [&str; 16] = [
    "Johnson",
    "Williams",
    "Jones",
    "Brown",
    "Davis",
    "Taylor",
    "Harris",
    "O'Neal",
    "McKinney",
    "Nguyen",
    "Hernández",
    "Pruitt",
    "Boyd",
    "Crutcher",
    "Whitfield",
    "Yates",
];
const COMPANIES: [&str; 8] = [
    "Bluff City Holdings LLC",
    "Riverbend Rentals, Inc.",
    "MAA Property Partners",
    "Delta Home Buyers LLC",
    "First Tax Lien Fund III",
    "Green & Sons Realty",
    "Estate of",
    "Shelby County Land Bank",
];
const FINDINGS: [&str; 8] = [
    "Roof open in two places; water damage to the rear rooms.",
    "Front door missing. Structure open to entry, signs of recent occupancy.",
    "Foundation failing along the north wall, porch collapsed.",
    "High grass and debris, abandoned vehicle in the side yard.",
    "Fire damage to the second floor; not secured since the last visit.",
    "Owner has begun repairs: new windows at the front, roof still tarped.",
    "Boarded and secured. Utilities disconnected.",
    "Illegal dumping at the rear, about 40 tires.",
];
const NOTES: [&str; 6] = [
    "Board-up ordered; contractor confirmed front and rear.",
    "Owner asked for time to sell. Next setting in 30 days.",
    "Counsel for the lien holder appeared, wants to be heard on receivership.",
    "Board-up done, invoice sent to the clerk.",
    "No appearance. Alias warrant requested.",
    "Rehab plan filed; inspector to verify permits \"before next setting\".",
];

/// Layer 2, empty.
pub fn active_litigations() -> Layer {
    let fields = vec![
        Field::text("INCIDENT_NUMBER", 50),
        Field::text("PARCEL_ID", 50),
        Field::text("Case_Number", 50).with_alias("City File Number"),
        Field::text("ce_name", 50).with_alias("Subdistrict"),
        Field::text("NPA_Inspect_Summary", 4000),
        Field::text("CivilWarrant", 50).with_alias("Civil Warrant"),
        Field::text("ADDRESS1", 200),
        Field::date("NextCourtDate"),
        Field::text("Court_Property_Owner", 255),
        Field::text("AntiNeglect_Plans_App_By", 255).with_alias("Defendant"),
        Field::text("Court_Status", 50),
        Field::text("BoardUp_Notes", 2000),
    ];
    Layer::new(ACTIVE_LITIGATIONS, "Active_Litigations", fields)
}

/// Layer 6, empty: one row for each court event of a litigation.
pub fn litigation_history() -> Layer {
    let fields = vec![
        Field::text("CivilWarrant", 50),
        Field::integer("CouncilDistrict"),
        Field::text("Address", 200),
        Field::text("ParcelID", 50),
        Field::text("Incident_Number", 50),
        Field::text("Status_1", 50),
        Field::date("NextSetting"),
        Field::text("DismissStatus", 50),
        Field::text("DismissedCondition", 100),
        Field::text("CourtNotes", 2000),
    ];
    Layer::new(LITIGATION_HISTORY, "Litigation_History", fields)
}

/// Litigations of the two years before `now`, none of them made or edited in the last day. The same arguments give
/// the same city, and a larger city begins with the litigations of a smaller one.
pub fn sample_city(count: usize, seed: u64, now: DateTime<Utc>) -> Vec<Feature> {
    (1..=count).map(|number| litigation(number, seed, now)).collect()
}

fn litigation(number: usize, seed: u64, now: DateTime<Utc>) -> Feature {
    // One generator for each row, so that a row does not depend on how many there are.
    let mixed = seed.wrapping_mul(1_000_003).wrapping_add(u64::try_from(number).unwrap_or(u64::MAX));
    let random = &mut StdRng::seed_from_u64(mixed);
    let created = now - Duration::minutes(random.random_range(3 * 1440..730 * 1440));
    let since_created = (now - Duration::days(2) - created).num_minutes();
    let edited = created + Duration::minutes(random.random_range(0..=since_created.max(0)));
    let status = *COURT_STATUSES.choose(random).unwrap_or(&"Hearing");
    let owner = owner(random);
    let defendant = if random.random_bool(0.7) { owner.clone() } else { person(random) };
    let district = *DISTRICTS.choose(random).unwrap_or(&"5-Midtown");
    let year = created.year() % 100;
    let warrant = format!("E-{year:02}-{number:05}");
    let notes = random.random_bool(0.4).then(|| sentences(&NOTES, random));
    let court_date = (status != "Dismissed" && random.random_bool(0.8)).then(|| court_date(random, now));
    let parcel =
        format!("0{}0{:02} 00{:03}", random.random_range(10..99), random.random_range(1..99), number % 1000);
    let address =
        format!("{} {}", random.random_range(100..4999), STREETS.choose(random).unwrap_or(&"Park Ave"));
    let case_number = format!("{}-{:04}", created.year(), number % 10_000);
    let incident = random.random_range(3_000_000..9_999_999).to_string();
    let inspection = random.random_bool(0.85).then(|| sentences(&FINDINGS, random));
    let has_place = !random.random_bool(0.01);
    let attributes = json!({
        "INCIDENT_NUMBER": incident,
        "PARCEL_ID": parcel,
        "Case_Number": case_number,
        "ce_name": district,
        "NPA_Inspect_Summary": inspection,
        "CivilWarrant": warrant,
        "ADDRESS1": address,
        "NextCourtDate": court_date.map(|date| date.timestamp_millis()),
        "Court_Property_Owner": owner,
        "AntiNeglect_Plans_App_By": defendant,
        "Court_Status": status,
        "BoardUp_Notes": notes,
        "CREATION_DATE": created.timestamp() * 1000,
        "LAST_MODIFIED_DATE": edited.timestamp() * 1000,
        "created_user": "code.enforcement",
        "last_edited_user": if random.random_bool(0.5) { "code.enforcement" } else { "court.clerk" },
    });
    let attributes = match attributes {
        Value::Object(attributes) => attributes,
        _ => Map::new(),
    };
    Feature {
        attributes,
        lon: has_place.then(|| random.random_range(-90.08..-89.80)),
        lat: has_place.then(|| random.random_range(35.02..35.24)),
    }
}

/// A sitting in the coming half year, at nine or half past one in the court's city, on a working day.
fn court_date(random: &mut StdRng, now: DateTime<Utc>) -> DateTime<Utc> {
    let mut day = now + Duration::days(random.random_range(3..180));
    while day.weekday().number_from_monday() > 5 {
        day += Duration::days(1);
    }
    let minutes = if random.random_bool(0.6) { 15 * 60 } else { 19 * 60 + 30 };
    let midnight = day - Duration::seconds(i64::from(day.num_seconds_from_midnight()));
    DateTime::from_timestamp(midnight.timestamp() + minutes * 60, 0).unwrap_or(midnight)
}

fn person(random: &mut StdRng) -> String {
    let first = FIRST_NAMES.choose(random).unwrap_or(&"James");
    let last = LAST_NAMES.choose(random).unwrap_or(&"Johnson");
    format!("{first} {last}")
}

fn owner(random: &mut StdRng) -> String {
    if random.random_bool(0.6) {
        return person(random);
    }
    match COMPANIES.choose(random) {
        Some(&"Estate of") => format!("Estate of {}", person(random)),
        Some(company) => (*company).to_owned(),
        None => person(random),
    }
}

fn sentences(from: &[&str], random: &mut StdRng) -> String {
    let count = random.random_range(1..=3);
    from.choose_multiple(random, count).copied().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-20T15:04:05Z".parse().unwrap()
    }

    fn text<'a>(feature: &'a Feature, name: &str) -> Option<&'a str> {
        feature.attributes.get(name).and_then(Value::as_str)
    }

    #[test]
    fn the_same_seed_gives_the_same_city_and_another_seed_another() {
        assert_eq!(sample_city(50, 1, now()), sample_city(50, 1, now()));
        assert_eq!(sample_city(50, 1, now())[..20], sample_city(20, 1, now())[..]);
        assert_ne!(sample_city(50, 1, now()), sample_city(50, 2, now()));
    }

    #[test]
    fn every_warrant_is_its_own_and_every_status_occurs() {
        let city = sample_city(1000, 1, now());
        let warrants: BTreeSet<_> = city.iter().filter_map(|feature| text(feature, "CivilWarrant")).collect();
        assert_eq!(warrants.len(), 1000);
        assert!(warrants.iter().all(|warrant| warrant.len() == 10 && warrant.starts_with("E-2")));
        let statuses: BTreeSet<_> = city.iter().filter_map(|feature| text(feature, "Court_Status")).collect();
        assert_eq!(statuses, COURT_STATUSES.into_iter().collect());
    }

    #[test]
    fn nothing_was_made_or_edited_in_the_last_day_or_before_the_last_two_years() {
        let (oldest, newest) = (
            (now() - Duration::days(731)).timestamp_millis(),
            (now() - Duration::days(1)).timestamp_millis(),
        );
        for feature in sample_city(2000, 3, now()) {
            let created = feature.attributes["CREATION_DATE"].as_i64().unwrap();
            let edited = feature.attributes["LAST_MODIFIED_DATE"].as_i64().unwrap();
            assert!(oldest < created && created <= edited && edited < newest);
            assert_eq!(edited % 1000, 0);
        }
    }

    #[test]
    fn the_layer_would_take_every_value_as_an_edit() {
        let layer = active_litigations();
        for feature in sample_city(500, 1, now()) {
            for (name, value) in &feature.attributes {
                let field = layer.fields().iter().find(|field| field.name == *name);
                let field = field.unwrap_or_else(|| panic!("{name} is no field"));
                assert!(field.takes(value), "{name}: {value}");
            }
        }
    }

    #[test]
    fn notes_dates_and_places_are_there_in_a_part_of_the_rows() {
        let city = sample_city(1000, 1, now());
        for name in ["BoardUp_Notes", "NextCourtDate", "NPA_Inspect_Summary"] {
            let filled = city.iter().filter(|feature| !feature.attributes[name].is_null()).count();
            assert!((200..950).contains(&filled), "{name}: {filled}");
        }
        let placed = city.iter().filter(|feature| feature.lon.is_some()).count();
        assert!((950..1000).contains(&placed), "{placed}");
    }
}
