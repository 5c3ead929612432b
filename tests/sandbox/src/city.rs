//! A sample city: believable litigations against neglected properties, and the layers that hold them.

use chrono::{DateTime, Datelike, Duration, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use crate::gis::{Feature, Field, Layer, SystemNames};

mod days;
mod files;
mod history;

pub use history::DISMISSED_CONDITIONS;

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
    Layer::new(ACTIVE_LITIGATIONS, "Active_Litigations", fields).with_attachments()
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
        Field::text("CourtNotes", 4000),
    ];
    Layer::named(LITIGATION_HISTORY, "Litigation_History", SystemNames::of_a_geodatabase(), fields)
}

/// How large a sample city is, and how much its litigations have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct City {
    /// How many litigations.
    pub litigations: usize,
    /// Other seeds give other litigations.
    pub seed: u64,
    /// How many attachments all litigations have together.
    pub attachments: usize,
    /// The size of each attachment; small ones of different sizes if absent.
    pub attachment_bytes: Option<u64>,
    /// How many of a hundred litigations have notes.
    pub notes_percent: u32,
    /// How many of a hundred litigations have a coming court date, unless they are dismissed.
    pub court_dates_percent: u32,
    /// Just so many litigations have a court date, a coming one, and none of them is dismissed.
    pub coming_court_dates: Option<usize>,
    /// Whether the history of dismissed litigations is there.
    pub history: bool,
    /// Whether the history is a table and not a layer of points.
    pub history_table: bool,
}

impl City {
    /// The usual city of this size: three attachments to five litigations, notes on most, court dates on half.
    pub fn new(litigations: usize, seed: u64) -> Self {
        Self {
            litigations,
            seed,
            attachments: litigations * 3 / 5,
            attachment_bytes: None,
            notes_percent: 70,
            court_dates_percent: 50,
            coming_court_dates: None,
            history: true,
            history_table: false,
        }
    }

    /// Its layers, dated before `now`: the litigations with their attachments, and the history.
    pub(crate) fn layers(&self, now: DateTime<Utc>) -> [Layer; 2] {
        let litigations = sample_city(self, now);
        let mut history = litigation_history();
        if self.history_table {
            history = history.without_geometry();
        }
        if self.history {
            history.load(history::rows(&litigations, self.seed, now));
        }
        let mut active = active_litigations();
        active.load(litigations);
        for (number, files) in files::files(self) {
            active.attach(i64::try_from(number).unwrap_or(i64::MAX), files);
        }
        [active, history]
    }
}

/// Litigations of the two years before `now`, none of them made or edited in the last day. The same arguments give
/// the same city, and a larger city begins with the litigations of a smaller one.
pub fn sample_city(city: &City, now: DateTime<Utc>) -> Vec<Feature> {
    let mut rows: Vec<Feature> = (1..=city.litigations).map(|number| litigation(number, city, now)).collect();
    if let Some(count) = city.coming_court_dates {
        give_court_dates(&mut rows, count, city.seed, now);
    }
    rows
}

/// Gives just so many of these litigations, spread evenly over all, a coming court date, and the others none.
fn give_court_dates(rows: &mut [Feature], count: usize, seed: u64, now: DateTime<Utc>) {
    let is_open =
        |row: &&mut Feature| row.attributes.get("Court_Status").and_then(Value::as_str) != Some("Dismissed");
    let open = rows.iter_mut().filter(is_open).count().max(1);
    let up_to = |number: usize| number.saturating_mul(count.min(open)) / open;
    let random = &mut StdRng::seed_from_u64(seed ^ 0xDA7E_5000);
    for row in rows.iter_mut() {
        row.attributes.insert("NextCourtDate".to_owned(), Value::Null);
    }
    for (number, row) in rows.iter_mut().filter(is_open).enumerate() {
        if up_to(number + 1) > up_to(number) {
            let day = days::coming_day(random, now);
            let date = days::sitting(random, day);
            row.attributes.insert("NextCourtDate".to_owned(), json!(date.timestamp_millis()));
        }
    }
}

/// Whether the thing of this number is among those, so many of a hundred, that are spread evenly over all.
fn is_due(number: usize, percent: u32) -> bool {
    let up_to = |number: usize| number.saturating_mul(percent as usize) / 100;
    up_to(number) > up_to(number.saturating_sub(1))
}

fn litigation(number: usize, city: &City, now: DateTime<Utc>) -> Feature {
    // One generator for each row, so that a row does not depend on how many there are.
    let mixed = city.seed.wrapping_mul(1_000_003).wrapping_add(u64::try_from(number).unwrap_or(u64::MAX));
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
    let notes = is_due(number, city.notes_percent).then(|| sentences(&NOTES, random));
    let court_date = court_date(number, city, status, now);
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

/// The next sitting: ahead where one is due, behind for most of what is dismissed and for a few that nobody has set
/// anew. Drawn apart from the rest, which so does not depend on it.
fn court_date(number: usize, city: &City, status: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mixed = city.seed.wrapping_add(u64::try_from(number).unwrap_or(u64::MAX)) ^ 0xC0_0427_DA7E;
    let random = &mut StdRng::seed_from_u64(mixed);
    let is_ahead = is_due(number, city.court_dates_percent);
    let is_behind = !is_ahead && city.court_dates_percent > 0 && number % 20 == 7;
    let day = match (status, is_ahead || is_behind) {
        (_, false) => return None,
        ("Dismissed", true) => days::past_day(random, now),
        _ if is_behind => days::past_day(random, now),
        _ => days::coming_day(random, now),
    };
    Some(days::sitting(random, day))
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
    use crate::gis::{FieldType, GeneratedAttachment};

    fn now() -> DateTime<Utc> {
        "2026-11-20T15:04:05Z".parse().unwrap()
    }

    fn text<'a>(feature: &'a Feature, name: &str) -> Option<&'a str> {
        feature.attributes.get(name).and_then(Value::as_str)
    }

    #[test]
    fn the_same_seed_gives_the_same_city_and_another_seed_another() {
        assert_eq!(sample_city(&City::new(50, 1), now()), sample_city(&City::new(50, 1), now()));
        assert_eq!(sample_city(&City::new(50, 1), now())[..20], sample_city(&City::new(20, 1), now())[..]);
        assert_ne!(sample_city(&City::new(50, 1), now()), sample_city(&City::new(50, 2), now()));
    }

    #[test]
    fn every_warrant_is_its_own_and_every_status_occurs() {
        let city = sample_city(&City::new(1000, 1), now());
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
        for feature in sample_city(&City::new(2000, 3), now()) {
            let created = feature.attributes["CREATION_DATE"].as_i64().unwrap();
            let edited = feature.attributes["LAST_MODIFIED_DATE"].as_i64().unwrap();
            assert!(oldest < created && created <= edited && edited < newest);
            assert_eq!(edited % 1000, 0);
        }
    }

    #[test]
    fn the_layers_would_take_every_value_as_an_edit() {
        let [active, history] = City::new(500, 1).layers(now());
        let ids = [FieldType::ObjectId, FieldType::GlobalId];
        for layer in [active, history] {
            assert!(!layer.is_empty());
            for feature in layer.features() {
                for field in layer.fields().iter().filter(|field| !ids.contains(&field.field_type)) {
                    let value = &feature.attributes[&field.name];
                    assert!(field.takes(value), "{}: {value}", field.name);
                }
            }
        }
    }

    #[test]
    fn the_layer_has_every_field_of_a_litigation() {
        let layer = active_litigations();
        for name in sample_city(&City::new(1, 1), now())[0].attributes.keys() {
            assert!(layer.fields().iter().any(|field| field.name == *name), "{name} is no field");
        }
    }

    fn dates(city: &City) -> Vec<i64> {
        let rows = sample_city(city, now());
        rows.iter().filter_map(|feature| feature.attributes["NextCourtDate"].as_i64()).collect()
    }

    #[test]
    fn half_have_a_coming_court_date_some_of_them_at_local_midnight_and_a_few_a_past_one() {
        let dates = dates(&City::new(1000, 1));
        let (ahead, behind): (Vec<i64>, Vec<i64>) =
            dates.into_iter().partition(|date| *date > now().timestamp_millis());
        assert!((420..=500).contains(&ahead.len()), "{}", ahead.len());
        assert!((40..=120).contains(&behind.len()), "{}", behind.len());
        let at_midnight = |date: &&i64| {
            let local =
                DateTime::from_timestamp_millis(**date).unwrap().with_timezone(&chrono_tz::America::Chicago);
            local.time() == chrono::NaiveTime::MIN
        };
        let midnights = ahead.iter().filter(at_midnight).count();
        assert!((80..=220).contains(&midnights), "{midnights}");
    }

    #[test]
    fn notes_and_court_dates_are_as_many_as_wished() {
        let bare = City { notes_percent: 0, court_dates_percent: 0, ..City::new(100, 1) };
        assert!(dates(&bare).is_empty());
        let notes = |city: &City| {
            let rows = sample_city(city, now());
            rows.iter().filter(|feature| !feature.attributes["BoardUp_Notes"].is_null()).count()
        };
        assert_eq!(notes(&bare), 0);
        assert_eq!(notes(&City::new(1000, 1)), 700);
        let full = City { notes_percent: 100, court_dates_percent: 100, ..City::new(100, 1) };
        assert_eq!((notes(&full), dates(&full).len()), (100, 100));
        let counted = City { coming_court_dates: Some(500), ..City::new(1000, 1) };
        assert_eq!(dates(&counted).len(), 500);
        assert!(dates(&counted).iter().all(|date| *date > now().timestamp_millis()));
    }

    #[test]
    fn a_city_of_a_thousand_has_600_attachments_that_differ() {
        let files: Vec<_> = files::files(&City::new(1000, 1)).into_values().collect();
        assert!((300..600).contains(&files.len()), "{}", files.len());
        let files: Vec<_> = files.into_iter().flatten().collect();
        let distinct =
            |of: fn(&GeneratedAttachment) -> String| files.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(|file| file.name.clone()), 600);
        assert_eq!(distinct(|file| file.seed.to_string()), 600);
        assert!(distinct(|file| file.content_type.clone()) >= 5);
        assert!(files.iter().all(|file| (200..24_000).contains(&file.size)));
        let wished = City { attachments: 7, attachment_bytes: Some(9), ..City::new(3, 1) };
        let files: Vec<_> = files::files(&wished).into_values().flatten().collect();
        assert!(files.len() == 7 && files.iter().all(|file| file.size == 9));
        assert!(files::files(&City { attachments: 7, ..City::new(0, 1) }).is_empty());
    }

    #[test]
    fn every_dismissed_litigation_ends_its_history_with_its_dismissal_and_no_other_has_one() {
        let [active, history] = City::new(1000, 1).layers(now());
        let dismissed: BTreeSet<String> = active
            .features()
            .iter()
            .filter(|feature| text(feature, "Court_Status") == Some("Dismissed"))
            .map(|feature| text(feature, "CivilWarrant").unwrap().to_owned())
            .collect();
        let rows = history.features();
        let last: std::collections::BTreeMap<String, &Feature> =
            rows.iter().map(|row| (text(row, "CivilWarrant").unwrap().to_owned(), row)).collect();
        assert_eq!(last.keys().cloned().collect::<BTreeSet<_>>(), dismissed);
        assert!(rows.len() > last.len());
        for row in last.values() {
            assert_eq!(text(row, "Status_1"), Some("Dismissed"));
            assert!(DISMISSED_CONDITIONS.contains(&text(row, "DismissedCondition").unwrap()));
            assert!((1..=9).contains(&row.attributes["CouncilDistrict"].as_i64().unwrap()));
        }
        let [_, none] = City { history: false, ..City::new(100, 1) }.layers(now());
        assert!(none.is_empty());
        let [_, table] = City { history_table: true, ..City::new(100, 1) }.layers(now());
        assert!(table.features().iter().all(|row| row.lon.is_none()));
    }

    #[test]
    fn notes_dates_and_places_are_there_in_a_part_of_the_rows() {
        let city = sample_city(&City::new(1000, 1), now());
        for name in ["BoardUp_Notes", "NextCourtDate", "NPA_Inspect_Summary"] {
            let filled = city.iter().filter(|feature| !feature.attributes[name].is_null()).count();
            assert!((200..950).contains(&filled), "{name}: {filled}");
        }
        let placed = city.iter().filter(|feature| feature.lon.is_some()).count();
        assert!((950..1000).contains(&placed), "{placed}");
    }
}
