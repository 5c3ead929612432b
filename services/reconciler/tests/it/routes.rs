//! Two systems, a map and an office, and the routes between them: every kind.

use crate::towns::Town;

const MAP: &str = r#"system = "map"
[collections.cases]
key = "warrant"
fields = { warrant = "text", status = "text", remark = "text", hearing = "instant" }
[collections.photos]
key = "id"
parent = "cases"
fields = { id = "text", title = "text", content = "ref" }
[collections.history]
key = "uid"
fields = { uid = "text", warrant = "text", status = "text", hearing = "instant", reason = "text" }
"#;

const OFFICE: &str = r#"system = "office"
time_zone = "America/Chicago"
[collections.matters]
key = "Warrant"
fields = { Warrant = "text", Status = "text", Reason = "text", Day = "date", Mark = "text" }
[collections.notes]
key = "id"
parent = "matters"
fields = { id = "text", detail = "text", date = "date" }
[collections.entries]
key = "id"
parent = "matters"
fields = { id = "text", start = "instant" }
[collections.papers]
key = "photo"
parent = "matters"
fields = { photo = "text", title = "text", content = "ref" }
"#;

const MIRROR: &str = r#"route = "case_matter"
kind = "mirror"
left = { collection = "map.cases", gone = { mark = { field = "Mark", text = "Left the map" } } }
right = { collection = "office.matters", create = true }
fields = [
  { left = "warrant", right = "Warrant", direction = "to_right" },
  { left = "status", right = "Status", wins = "right" },
  { left = "hearing", right = "Day", direction = "to_right", convert = "local_date" },
]
"#;

const REMARKS: &str = r#"route = "remarks"
kind = "latest"
parent = "case_matter"
left = { collection = "map.cases" }
right = { collection = "office.notes", create = true, update = false }
choose = { newest = ["date"] }
fields = [{ left = "remark", right = "detail", empty = "clears" }]
"#;

const HEARINGS: &str = r#"route = "hearings"
kind = "latest"
parent = "case_matter"
left = { collection = "map.cases" }
right = { collection = "office.entries", create = true }
choose = { next = "start" }
fields = [{ left = "hearing", right = "start", empty = "clears" }]
"#;

const DAYS: &str = r#"route = "days"
kind = "latest"
parent = "case_matter"
left = { collection = "office.matters" }
right = { collection = "office.entries", create = true }
choose = { next = "start" }
fields = [{ left = "Day", right = "start", convert = "local_date", empty = "clears" }]
"#;

const PHOTOS: &str = r#"route = "photo_paper"
kind = "child"
parent = "case_matter"
left = { collection = "map.photos", gone = "delete" }
right = { collection = "office.papers", create = true }
fields = [
  { left = "id", right = "photo", direction = "to_right" },
  { left = "title", right = "title", direction = "to_right" },
  { left = "content", right = "content", direction = "to_right" },
]
"#;

const DISMISSED: &str = r#"route = "dismissed"
kind = "event"
parent = "case_matter"
left = { collection = "office.matters" }
right = { collection = "map.history", parent_key = "warrant", create = true }
when = { field = "Status", becomes = "Dismissed" }
fields = [
  { left = "Warrant", right = "warrant" },
  { left = "Status", right = "status" },
  { left = "hearing", of = "partner", right = "hearing" },
]
"#;

const REASONS: &str = r#"route = "reasons"
kind = "latest"
parent = "case_matter"
left = { collection = "office.matters" }
right = { collection = "map.history", parent_key = "warrant" }
choose = { newest = ["hearing"] }
fields = [{ left = "Reason", right = "reason", direction = "to_left" }]
"#;

pub(crate) const SETTINGS: &str = r#"route = "settings"
kind = "event"
parent = "case_matter"
left = { collection = "office.matters" }
right = { collection = "map.history", parent_key = "warrant", create = true }
when = { field = "Day", same = "hearing" }
fields = [
  { left = "Warrant", right = "warrant" },
  { left = "hearing", of = "partner", right = "hearing" },
]
"#;

pub(crate) async fn town() -> Town {
    town_with(&[]).await
}

/// A town with more routes than the others.
pub(crate) async fn town_with(routes: &[(&str, &str)]) -> Town {
    let files = [
        ("systems/map.toml", MAP),
        ("systems/office.toml", OFFICE),
        ("routes/case_matter.toml", MIRROR),
        ("routes/remarks.toml", REMARKS),
        ("routes/hearings.toml", HEARINGS),
        ("routes/days.toml", DAYS),
        ("routes/photo_paper.toml", PHOTOS),
        ("routes/dismissed.toml", DISMISSED),
        ("routes/reasons.toml", REASONS),
    ];
    Town::open(&[&files, routes].concat()).await
}

/// A town with one case that is migrated: its id on the map and its matter's.
pub(crate) async fn with_case(pairs: &[(&str, &str)]) -> (Town, String, String) {
    let town = town().await;
    let mut case = vec![("warrant", "C-1")];
    case.extend(pairs);
    let id = town.map.add("cases", None, &case);
    assert_eq!(town.migrate().await.errors, Vec::<String>::new());
    let matter = town.office.rows("matters").first().unwrap().0.clone();
    (town, id, matter)
}
