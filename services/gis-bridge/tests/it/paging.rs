//! Listings while people work on the map.

use std::collections::BTreeMap;

use anyhow::Context;
use databridge_bridge::Shown;
use databridge_model::Value;
use listings::{People, hold};
use sandbox::Admin;
use sandbox::client::{GisEdit, GisFile};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::stage::{LAYER, Stage, object_id};

/// The field that the people give values.
const OWNER: &str = "Court_Property_Owner";

/// A city of so many rows.
fn stage(runtime: &Runtime, rows: usize, collection: &str) -> Stage {
    runtime.block_on(async { Stage::city(rows).await.looking_at(collection) })
}

fn told(shown: &Shown, field: &str) -> String {
    match &shown.fields[field] {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// They enter, change and delete rows.
struct AtTheMap(Stage);

impl People for AtTheMap {
    async fn add(&self, value: &str) -> anyhow::Result<()> {
        let attributes = json!({ "CivilWarrant": value.replace(' ', "-"), OWNER: value });
        let row = serde_json::from_value(json!({ "attributes": attributes, "lon": -90.0, "lat": 35.1 }))?;
        self.0.admin.add_features(LAYER, &[row]).await?;
        Ok(())
    }

    async fn edit(&self, id: &str, value: &str) -> anyhow::Result<()> {
        Ok(self.0.admin.edit_feature(LAYER, id.parse()?, &GisEdit::field(OWNER, value)).await?)
    }

    async fn remove(&self, id: &str) -> anyhow::Result<()> {
        Ok(self.0.admin.delete_feature(LAYER, id.parse()?).await?)
    }

    fn admin(&self) -> &Admin {
        &self.0.admin
    }

    async fn living(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let rows = self.0.admin.features(LAYER).await?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        Ok(rows
            .iter()
            .map(|row| (row.attributes["OBJECTID"].to_string(), text(&row.attributes[OWNER])))
            .collect())
    }

    fn told(&self, shown: &Shown) -> (String, String) {
        (object_id(&shown.id).to_string(), told(shown, OWNER))
    }
}

#[test]
fn no_row_is_missed_or_comes_twice_while_people_add_edit_and_delete_others() {
    let runtime = Runtime::new().unwrap();
    let people = AtTheMap(stage(&runtime, 1, "active_litigations"));
    hold(&runtime, &people.0.system, people.0.collection.as_str(), &people).unwrap();
}

/// They attach files to the rows, replace them and take them off.
struct WithFiles(Stage);

impl WithFiles {
    /// A file whose size is the value's number.
    fn file(value: &str) -> anyhow::Result<GisFile> {
        let number = value.rsplit(' ').next().context("no number")?.parse()?;
        Ok(GisFile::generated("paper.pdf", "application/pdf", number, number))
    }

    fn place(id: &str) -> anyhow::Result<(i64, i64)> {
        let (row, attachment) = id.split_once('/').context("no attachment")?;
        Ok((row.parse()?, attachment.parse()?))
    }
}

impl People for WithFiles {
    async fn add(&self, value: &str) -> anyhow::Result<()> {
        let rows = self.0.admin.features(LAYER).await?;
        let row = &rows[value.len() * 7 % rows.len()].attributes["OBJECTID"];
        let row = row.as_i64().context("no id")?;
        self.0.admin.add_gis_attachment(LAYER, row, &Self::file(value)?).await?;
        Ok(())
    }

    async fn edit(&self, id: &str, value: &str) -> anyhow::Result<()> {
        Ok(self.0.admin.replace_gis_attachment(LAYER, Self::place(id)?, &Self::file(value)?).await?)
    }

    async fn remove(&self, id: &str) -> anyhow::Result<()> {
        Ok(self.0.admin.delete_gis_attachment(LAYER, Self::place(id)?).await?)
    }

    fn admin(&self) -> &Admin {
        &self.0.admin
    }

    async fn living(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let all = self.0.admin.gis_attachments(LAYER).await?;
        Ok(all
            .iter()
            .map(|one| (format!("{}/{}", one.object_id, one.id), format!("Value {}", one.size)))
            .collect())
    }

    fn told(&self, shown: &Shown) -> (String, String) {
        (shown.id.clone(), format!("Value {}", told(shown, "content")))
    }
}

#[test]
fn no_attachment_is_missed_or_comes_twice_while_people_add_replace_and_delete_others() {
    let runtime = Runtime::new().unwrap();
    let people = WithFiles(stage(&runtime, 5, "attachments"));
    hold(&runtime, &people.0.system, people.0.collection.as_str(), &people).unwrap();
}
