//! What the court did: the rows of history of a dismissed litigation.

use chrono::{DateTime, Duration, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

use super::days;
use crate::gis::Feature;

/// The values of `DismissedCondition`.
pub const DISMISSED_CONDITIONS: [&str; 8] = [
    "Dismissed Rehab by Property Owner",
    "Dismissed Rehab by Property Receiver",
    "Dismissed Demolished by City",
    "Dismissed Demolished by Property Owner",
    "Dismissed Property Transferred",
    "Dismissed Property Owned by County Through Tax Sale",
    "Dismissed Refer to Condemnation",
    "Other",
];
const DISMISS_STATUSES: [&str; 3] =
    ["Dismissed with costs", "Dismissed without costs", "Dismissed without prejudice"];
const EARLIER: [&str; 4] = ["Initial Setting", "Hearing", "Non-Compliance", "Status"];
const COURT_NOTES: [&str; 3] = [
    "Inspector confirmed that the work is done.",
    "By agreement of the parties; costs taxed to the respondent.",
    "Deed recorded; the new owner is not a party.",
];

/// The rows of history of these litigations, oldest first: some settings of each dismissed one, then its dismissal.
pub(super) fn rows(litigations: &[Feature], seed: u64, now: DateTime<Utc>) -> Vec<Feature> {
    let dismissed = |feature: &&Feature| text(feature, "Court_Status") == Some("Dismissed");
    let mut random = StdRng::seed_from_u64(seed ^ 0x0D15_0155);
    let mut rows: Vec<Feature> = litigations
        .iter()
        .filter(dismissed)
        .flat_map(|litigation| of(litigation, &mut random, now))
        .collect();
    // A service gives object ids in the order in which rows were added.
    rows.sort_by_key(|row| row.attributes.get("created_date").and_then(Value::as_i64));
    rows
}

fn of(litigation: &Feature, random: &mut StdRng, now: DateTime<Utc>) -> Vec<Feature> {
    let edited = litigation.attributes.get("LAST_MODIFIED_DATE").and_then(Value::as_i64);
    let dismissed = edited.and_then(DateTime::from_timestamp_millis).unwrap_or(now);
    let settings = random.random_range(0..=2);
    let mut rows: Vec<Feature> = (0..settings)
        .map(|setting| {
            let made = dismissed - Duration::days(30 * (settings - setting));
            let day = days::past_day(random, made + Duration::days(1));
            let status = *EARLIER.choose(random).unwrap_or(&"Hearing");
            row(
                litigation,
                made,
                json!({ "Status_1": status, "NextSetting": days::sitting(random, day).timestamp_millis() }),
            )
        })
        .collect();
    let notes = random.random_bool(0.5).then(|| COURT_NOTES.choose(random).copied()).flatten();
    let dismissal = json!({
        "Status_1": "Dismissed",
        "NextSetting": litigation.attributes.get("NextCourtDate"),
        "DismissStatus": DISMISS_STATUSES.choose(random),
        "DismissedCondition": DISMISSED_CONDITIONS.choose(random),
        "CourtNotes": notes,
    });
    rows.push(row(litigation, dismissed, dismissal));
    rows
}

fn row(litigation: &Feature, made: DateTime<Utc>, event: Value) -> Feature {
    let council_district =
        text(litigation, "ce_name").and_then(|name| name.split_once('-')?.0.parse::<i64>().ok());
    let made = made.timestamp() * 1000;
    let common = json!({
        "CivilWarrant": litigation.attributes.get("CivilWarrant"),
        "CouncilDistrict": council_district,
        "Address": litigation.attributes.get("ADDRESS1"),
        "ParcelID": litigation.attributes.get("PARCEL_ID"),
        "Incident_Number": litigation.attributes.get("INCIDENT_NUMBER"),
        "created_date": made,
        "last_edited_date": made,
        "created_user": "court.clerk",
        "last_edited_user": "court.clerk",
    });
    let attributes: Map<String, Value> =
        [common, event].into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect();
    Feature { attributes, ..litigation.clone() }
}

fn text<'a>(feature: &'a Feature, name: &str) -> Option<&'a str> {
    feature.attributes.get(name).and_then(Value::as_str)
}
