//! Practice areas.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::body::Data;
use crate::clio::collection::{Ask, Collection};
use crate::clio::filters::same_name;
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::Shape;
use crate::clio::view::{Entity, Record, Shown, View};
use crate::clio::write::Writer;

/// A practice area.
pub(crate) static PRACTICE_AREA: Shape = Shape {
    kind: "PracticeArea",
    plain: &["name", "code", "category", "created_at", "updated_at"],
    nested: &[],
    defaults: &[],
};

/// A practice area.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PracticeArea {
    /// Its id.
    pub(crate) id: i64,
    /// Its name, which need not be unique.
    pub(crate) name: String,
    /// A code, if the account uses them.
    pub(crate) code: Option<String>,
    /// One of the specification's categories.
    pub(crate) category: Option<String>,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl Store {
    /// Adds a practice area.
    pub(crate) fn add_practice_area(&mut self, name: &str, now: DateTime<Utc>) -> i64 {
        let id = self.new_id();
        let area =
            PracticeArea { id, name: name.to_owned(), code: None, category: None, stamp: Stamp::new(now) };
        self.practice_areas.insert(id, area);
        id
    }
}

/// The practice areas that pass.
fn practice_areas<'a>(store: &'a Store, params: &Params) -> Vec<Record<'a>> {
    let code = params.one("code");
    let found = store.practice_areas.values().filter(|area| {
        same_name(&area.name, params.one("name"))
            && code.is_none_or(|code| area.code.as_deref() == Some(code))
    });
    found.map(|record| Record::Of(record)).collect()
}

impl Writer<'_> {
    /// Makes a practice area and gives its id.
    fn create_practice_area(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
        let name = data.required_text("name")?;
        let code = data.text("code")?.flatten().map(str::to_owned);
        let category = data.text("category")?.flatten().map(str::to_owned);
        let id = self.store.add_practice_area(name, self.now);
        if let Some(area) = self.store.practice_areas.get_mut(&id) {
            area.code = code;
            area.category = category;
        }
        Ok(id)
    }
}

impl Entity for PracticeArea {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&PRACTICE_AREA, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, _: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "name" => json!(self.name),
            "code" => json!(self.code),
            "category" => json!(self.category),
            _ => Value::Null,
        })
    }
}

/// All practice areas.
pub(crate) struct PracticeAreas;

impl Collection for PracticeAreas {
    fn shape(&self) -> &'static Shape {
        &PRACTICE_AREA
    }

    fn orders(&self) -> &'static [&'static str] {
        &["name", "code"]
    }

    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        Ok(practice_areas(ask.store, params))
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        ask.store.practice_areas.get(&id).map(|record| Record::Of(record))
    }

    fn create(&self, writer: &mut Writer<'_>, data: &Data<'_>) -> Result<i64, Refusal> {
        writer.create_practice_area(data)
    }
}
