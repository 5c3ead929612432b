//! Groups of users.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::body::Data;
use crate::clio::collection::{Ask, Collection};
use crate::clio::filters::{contains, one_of, same_name};
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::Shape;
use crate::clio::view::{Entity, Record, Shown, View};
use crate::clio::write::Writer;

/// A group.
pub(crate) static GROUP: Shape =
    Shape { kind: "Group", plain: &["name", "type", "updated_at"], nested: &[], defaults: &[] };

/// A group of users who may see a matter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    /// Its id.
    pub(crate) id: i64,
    /// Its name, which need not be unique.
    pub(crate) name: String,
    /// `AdhocGroup`, `AccountGroup` or `UserGroup`.
    pub(crate) kind: String,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl Store {
    /// Adds a group.
    pub(crate) fn add_group(&mut self, name: &str, now: DateTime<Utc>) -> i64 {
        let id = self.new_id();
        let group =
            Group { id, name: name.to_owned(), kind: "AdhocGroup".to_owned(), stamp: Stamp::new(now) };
        self.groups.insert(id, group);
        id
    }
}

/// The groups that pass.
fn groups<'a>(store: &'a Store, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
    let kind = one_of("type", params.one("type"), &["AccountGroup", "AdhocGroup", "UserGroup"])?;
    let query = params.one("query");
    let found = store.groups.values().filter(|group| {
        same_name(&group.name, params.one("name"))
            && kind.is_none_or(|kind| group.kind == kind)
            && query.is_none_or(|part| contains(&group.name, part))
    });
    Ok(found.map(|record| Record::Of(record)).collect())
}

impl Writer<'_> {
    /// Makes a group and gives its id.
    fn create_group(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
        let name = data.required_text("name")?;
        Ok(self.store.add_group(name, self.now))
    }
}

impl Entity for Group {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&GROUP, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, _: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "name" => json!(self.name),
            "type" => json!(self.kind),
            _ => Value::Null,
        })
    }
}

/// All groups.
pub(crate) struct Groups;

impl Collection for Groups {
    fn shape(&self) -> &'static Shape {
        &GROUP
    }

    fn orders(&self) -> &'static [&'static str] {
        &["name"]
    }

    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        groups(ask.store, params)
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        ask.store.groups.get(&id).map(|record| Record::Of(record))
    }

    fn create(&self, writer: &mut Writer<'_>, data: &Data<'_>) -> Result<i64, Refusal> {
        writer.create_group(data)
    }
}
