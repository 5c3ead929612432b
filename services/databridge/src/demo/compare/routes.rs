//! What is to be compared: the city's, written here by hand, or a person's own, read off the config folder as plain TOML.

use std::path::Path;

use anyhow::Context;
use chrono_tz::Tz;
use toml::Value;

use super::{Comparer, CourtDates, Documents, History, Kind, Notes, Pair};

/// The collections of Clio whose records the comparer knows.
const NOTES: &str = "clio.notes";
const CALENDAR_ENTRIES: &str = "clio.calendar_entries";
const DOCUMENTS: &str = "clio.documents";

impl Comparer {
    /// The city's litigations with all that belongs to them.
    pub fn of_the_city() -> Self {
        let mut city = Self::of_matters();
        city.pairs.push(pair("NextCourtDate", "Next Court Date", Kind::Day, false));
        let told = [("DismissStatus", "Dismiss Status"), ("DismissedCondition", "Dismissed Condition")];
        Self {
            mark: Some("GIS Record".to_owned()),
            zone: Tz::America__Chicago,
            notes: Some(Notes { field: "BoardUp_Notes".to_owned(), longest: 4000 }),
            court_dates: Some(CourtDates {
                field: "NextCourtDate".to_owned(),
                day: Some("Next Court Date".to_owned()),
                calendar: "NP Clinic Calendar".to_owned(),
            }),
            documents: Some(Documents { property: "GIS_ID".to_owned() }),
            history: Some(History {
                layer: 6,
                key: "CivilWarrant".to_owned(),
                status: "Status_1".to_owned(),
                setting: Some("NextSetting".to_owned()),
                clio_status: "Court Status".to_owned(),
                dismissed: "Dismissed".to_owned(),
                told: told.map(|(field, custom)| (field.to_owned(), custom.to_owned())).to_vec(),
            }),
            ..city
        }
    }

    /// The city's litigations and their matters alone.
    pub fn of_matters() -> Self {
        let plain = [
            ("CivilWarrant", "Civil Warrant", false),
            ("OBJECTID", "GIS Object ID", false),
            ("INCIDENT_NUMBER", "Incident Number", true),
            ("PARCEL_ID", "Parcel ID", true),
            ("Case_Number", "City File Number", true),
            ("ce_name", "Subdistrict", true),
            ("NPA_Inspect_Summary", "NPA Inspection Summary", true),
            ("ADDRESS1", "Location", true),
            ("Court_Property_Owner", "Property Owner", true),
            ("AntiNeglect_Plans_App_By", "Defendent", true),
            ("Court_Status", "Court Status", true),
        ];
        let plain = plain.map(|(gis, clio, both_ways)| pair(gis, clio, Kind::Plain, both_ways));
        let place = [("GIS Longitude", Kind::Longitude), ("GIS Latitude", Kind::Latitude)];
        let place = place.map(|(clio, kind)| pair("shape", clio, kind, false));
        Self {
            collections: ["gis.active_litigations", "clio.matters"].map(str::to_owned),
            object_id: "OBJECTID".to_owned(),
            gis_key: "CivilWarrant".to_owned(),
            clio_key: "Civil Warrant".to_owned(),
            mark: None,
            zone: Tz::UTC,
            pairs: plain.into_iter().chain(place).collect(),
            notes: None,
            court_dates: None,
            documents: None,
            history: None,
        }
    }

    /// A person's own.
    pub fn from_routes(folder: &Path) -> anyhow::Result<Self> {
        let routes = Routes::read(&folder.join("routes"))?;
        let is_mirror = |route: &&Value| text(route, "kind") == Some("mirror");
        let mirror = routes.0.iter().find(is_mirror);
        let mirror =
            mirror.with_context(|| format!("{} holds no mirror route", folder.join("routes").display()))?;
        let side = |name: &str, key: &str| {
            let value = mirror.get(name).and_then(|side| text(side, key));
            value.map(str::to_owned).with_context(|| format!("[{name}] has no {key}"))
        };
        let collections = [side("left", "collection")?, side("right", "collection")?];
        let (gis, clio) = (system(folder, "gis"), system(folder, "clio"));
        let zone = clio.get("time_zone").and_then(Value::as_str).and_then(|name| name.parse().ok());
        let mark = mirror.get("left").and_then(|left| at(left, &["gone", "mark", "field"]));
        let [rows, matters] = &collections;
        Ok(Self {
            gis_key: side("left", "key")?,
            clio_key: side("right", "key")?,
            object_id: "OBJECTID".to_owned(),
            mark: mark.and_then(Value::as_str).map(str::to_owned),
            zone: zone.unwrap_or(Tz::UTC),
            pairs: fields(mirror).filter_map(pair_of).collect(),
            notes: routes.notes(rows, &gis),
            court_dates: routes.court_dates(rows, matters, &clio),
            documents: routes.documents(),
            history: routes.history(matters, &gis),
            collections,
        })
    }
}

/// All files of routes, in the order of their names.
struct Routes(Vec<Value>);

impl Routes {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .with_context(|| format!("{} cannot be read", folder.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .collect();
        files.sort();
        let read = |file| toml::from_str(&std::fs::read_to_string(file).ok()?).ok();
        Ok(Self(files.iter().filter_map(read).collect()))
    }

    /// The routes of a kind between these collections.
    fn between<'a>(
        &'a self,
        kind: &'a str,
        left: &'a str,
        right: &'a str,
    ) -> impl Iterator<Item = &'a Value> {
        let is_of = |route: &Value, side: &str, collection: &str| {
            route.get(side).and_then(|side| text(side, "collection")) == Some(collection)
        };
        self.0.iter().filter(move |route| {
            text(route, "kind") == Some(kind) && is_of(route, "left", left) && is_of(route, "right", right)
        })
    }

    fn notes(&self, rows: &str, gis: &Value) -> Option<Notes> {
        let route = self.between("latest", rows, NOTES).next()?;
        let field = left_of(route, "detail")?;
        let (_, collection) = rows.split_once('.')?;
        let longest = at(gis, &["collections", collection, "fields", field, "max_length"]);
        let longest = longest.and_then(Value::as_integer).and_then(|most| usize::try_from(most).ok());
        Some(Notes { field: field.to_owned(), longest: longest.unwrap_or(usize::MAX) })
    }

    fn court_dates(&self, rows: &str, matters: &str, clio: &Value) -> Option<CourtDates> {
        let route = self.between("latest", rows, CALENDAR_ENTRIES).next()?;
        let calendar = at(clio, &["bridge", "calendar", "name"])?.as_str()?;
        let field = left_of(route, "start_at")?;
        let day = self.between("latest", matters, CALENDAR_ENTRIES).find_map(|it| left_of(it, "start_at"));
        let day = day.map(str::to_owned);
        Some(CourtDates { field: field.to_owned(), day, calendar: calendar.to_owned() })
    }

    fn documents(&self) -> Option<Documents> {
        let route = self.between("child", "gis.attachments", DOCUMENTS).next()?;
        Some(Documents { property: text(route.get("right")?, "key")?.to_owned() })
    }

    fn history(&self, matters: &str, gis: &Value) -> Option<History> {
        let route = self.0.iter().find(|route| {
            text(route, "kind") == Some("event") && at(route, &["when", "becomes"]).is_some()
        })?;
        let (when, right) = (route.get("when")?, route.get("right")?);
        let watched = text(when, "field")?;
        let history = text(right, "collection")?;
        let (_, collection) = history.split_once('.')?;
        let told = self.between("latest", matters, history).flat_map(fields);
        let told = told
            .filter_map(|field| Some((text(field, "right")?.to_owned(), text(field, "left")?.to_owned())));
        let status = fields(route).find(|field| text(field, "left") == Some(watched))?;
        let of_settings = self.between("event", matters, history);
        let mut settings = of_settings.filter(|route| at(route, &["when", "becomes"]).is_none());
        let setting = settings.find_map(|route| at(route, &["when", "same"])?.as_str());
        let layer = at(gis, &["bridge", "layers", collection, "layer"])?.as_integer()?;
        Some(History {
            layer: u32::try_from(layer).ok()?,
            key: text(right, "parent_key")?.to_owned(),
            status: text(status, "right")?.to_owned(),
            setting: setting.map(str::to_owned),
            clio_status: watched.to_owned(),
            dismissed: text(when, "becomes")?.to_owned(),
            told: told.collect(),
        })
    }
}

/// A system's file; an empty table where there is none.
fn system(folder: &Path, name: &str) -> Value {
    let file = folder.join("systems").join(format!("{name}.toml"));
    let read = std::fs::read_to_string(file).ok().and_then(|text| toml::from_str(&text).ok());
    read.unwrap_or(Value::Table(toml::Table::new()))
}

fn text<'a>(table: &'a Value, key: &str) -> Option<&'a str> {
    table.get(key)?.as_str()
}

fn at<'a>(table: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(table, |table, key| table.get(key))
}

fn fields(route: &Value) -> impl Iterator<Item = &Value> {
    route.get("fields").and_then(Value::as_array).into_iter().flatten()
}

/// The left field that goes with this right one.
fn left_of<'a>(route: &'a Value, right: &str) -> Option<&'a str> {
    text(fields(route).find(|field| text(field, "right") == Some(right))?, "left")
}

fn pair_of(field: &Value) -> Option<Pair> {
    let kind = match text(field, "convert") {
        Some("longitude") => Kind::Longitude,
        Some("latitude") => Kind::Latitude,
        Some("local_date") => Kind::Day,
        _ => Kind::Plain,
    };
    Some(pair(text(field, "left")?, text(field, "right")?, kind, text(field, "direction").is_none()))
}

fn pair(gis: &str, clio: &str, kind: Kind, both_ways: bool) -> Pair {
    Pair { gis: gis.to_owned(), clio: clio.to_owned(), kind, both_ways }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &str) -> Comparer {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config")).join(folder);
        let mut read = Comparer::from_routes(&path).unwrap();
        read.pairs.sort_by(|a, b| a.clio.cmp(&b.clio));
        read
    }

    #[test]
    fn the_shipped_config_says_what_the_city_is_compared_by() {
        let mut city = Comparer::of_the_city();
        city.pairs.sort_by(|a, b| a.clio.cmp(&b.clio));
        assert_eq!(read(""), city);
        let mut matters = Comparer::of_matters();
        matters.pairs.sort_by(|a, b| a.clio.cmp(&b.clio));
        assert_eq!(read("examples/matters"), matters);
    }

    #[test]
    fn of_a_config_of_matters_nothing_else_is_compared() {
        let own = read("examples/hpd");
        assert_eq!((own.gis_key.as_str(), own.clio_key.as_str()), ("ViolationID", "Violation ID"));
        assert!(own.notes.is_none() && own.court_dates.is_none() && own.documents.is_none());
        assert!(own.history.is_none() && own.mark.is_none());
    }
}
