//! Custom fields: their definitions and options.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clio::body::Data;
use crate::clio::collection::{Ask, Collection};
use crate::clio::collections::matters::FieldValue;
use crate::clio::filters::{contains, one_of};
use crate::clio::listing::Params;
use crate::clio::records::{Stamp, Store};
use crate::clio::refusal::Refusal;
use crate::clio::shape::{Nested, Shape};
use crate::clio::view::time;
use crate::clio::view::{Entity, Record, Shown, View};
use crate::clio::write::Writer;

/// The definition of a custom field.
pub(crate) static CUSTOM_FIELD: Shape = Shape {
    kind: "CustomField",
    plain: &[
        "created_at",
        "updated_at",
        "name",
        "parent_type",
        "field_type",
        "displayed",
        "deleted",
        "required",
        "display_order",
    ],
    nested: &[("picklist_options", Nested::Base(&PICKLIST_OPTION))],
    defaults: &[],
};

/// One option of a picklist.
pub(crate) static PICKLIST_OPTION: Shape = Shape {
    kind: "PicklistOption",
    plain: &["created_at", "updated_at", "option", "deleted_at"],
    nested: &[],
    defaults: &[],
};

/// The definition of a custom field.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CustomField {
    /// Its id.
    pub(crate) id: i64,
    /// Its name, which need not be unique.
    pub(crate) name: String,
    /// `Matter` or `Contact`.
    pub(crate) parent_type: String,
    /// One of [`FIELD_TYPES`].
    pub(crate) field_type: String,
    /// Whether it is shown by default.
    pub(crate) displayed: bool,
    /// Whether a value is required.
    pub(crate) required: bool,
    /// Its place on the page.
    pub(crate) display_order: i64,
    /// The options of a picklist, the deleted ones too.
    pub(crate) options: Vec<PicklistOption>,
    /// Whether it was deleted.
    pub(crate) deleted: bool,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl CustomField {
    /// The option that a value stands for, be it deleted by now; none if this is no picklist.
    pub(crate) fn option_of(&self, value: &FieldValue) -> Option<&PicklistOption> {
        let is_it = |option: &&PicklistOption| option.id.to_string() == value.value;
        self.options.iter().find(is_it).filter(|_| self.field_type == "picklist")
    }

    /// The options in force.
    pub(crate) fn live_options(&self) -> impl Iterator<Item = &PicklistOption> {
        self.options.iter().filter(|option| option.deleted_at.is_none())
    }
}

/// The field types of the specification.
pub(crate) const FIELD_TYPES: &[&str] = &[
    "checkbox",
    "contact",
    "currency",
    "date",
    "time",
    "email",
    "matter",
    "numeric",
    "picklist",
    "text_area",
    "text_line",
    "url",
];

/// One option of a picklist.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PicklistOption {
    /// Its id.
    pub(crate) id: i64,
    /// Its label.
    pub(crate) option: String,
    /// When it was deleted.
    pub(crate) deleted_at: Option<DateTime<Utc>>,
    /// Its stamp.
    pub(crate) stamp: Stamp,
}

impl Store {
    /// Adds a custom field with its options.
    pub(crate) fn add_custom_field(
        &mut self,
        parent_type: &str,
        field_type: &str,
        name: &str,
        options: &[&str],
        now: DateTime<Utc>,
    ) -> i64 {
        let id = self.new_id();
        let options = options.iter().map(|option| self.new_option(option, now)).collect();
        let display_order = i64::try_from(self.custom_fields.len()).unwrap_or(i64::MAX);
        let field = CustomField {
            id,
            name: name.to_owned(),
            parent_type: parent_type.to_owned(),
            field_type: field_type.to_owned(),
            displayed: true,
            required: false,
            display_order,
            options,
            deleted: false,
            stamp: Stamp::new(now),
        };
        self.custom_fields.insert(id, field);
        id
    }

    /// A new option, not yet in any field.
    pub(crate) fn new_option(&mut self, option: &str, now: DateTime<Utc>) -> PicklistOption {
        PicklistOption {
            id: self.new_id(),
            option: option.to_owned(),
            deleted_at: None,
            stamp: Stamp::new(now),
        }
    }

    /// The fields for matters that are not deleted.
    pub(crate) fn matter_fields(&self) -> impl Iterator<Item = &CustomField> {
        self.custom_fields.values().filter(|field| field.parent_type == "Matter" && !field.deleted)
    }
}

/// The custom fields that pass.
fn custom_fields<'a>(store: &'a Store, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
    let parent = one_of("parent_type", params.one("parent_type"), &["matter", "contact"])?;
    let field_type = one_of("field_type", params.one("field_type"), FIELD_TYPES)?;
    let query = params.one("query");
    let deleted = params.flag("deleted")?.unwrap_or(false);
    let passes = |field: &&CustomField| {
        field.deleted == deleted
            && parent.is_none_or(|parent| field.parent_type.eq_ignore_ascii_case(parent))
            && field_type.is_none_or(|wanted| field.field_type == wanted)
            && query.is_none_or(|part| contains(&field.name, part))
    };
    Ok(store.custom_fields.values().filter(passes).map(|record| Record::Of(record)).collect())
}

impl Writer<'_> {
    /// Makes a custom field and gives its id.
    fn create_custom_field(&mut self, data: &Data<'_>) -> Result<i64, Refusal> {
        let name = data.required_text("name")?;
        let parent = data.required_text("parent_type")?;
        if parent != "Matter" && parent != "Contact" {
            return Err(Refusal::invalid("parent_type must be Contact or Matter"));
        }
        let field_type = data.required_text("field_type")?;
        if !FIELD_TYPES.contains(&field_type) {
            return Err(Refusal::invalid(format!("{field_type} is not a valid field_type")));
        }
        let options = data.objects("picklist_options")?;
        if field_type != "picklist" && !options.is_empty() {
            return Err(Refusal::invalid("picklist_options are for a picklist only"));
        }
        let options: Vec<&str> =
            options.iter().map(|option| option.required_text("option")).collect::<Result<_, _>>()?;
        let (displayed, required) = (data.flag("displayed")?, data.flag("required")?);
        let order = data.number("display_order")?;
        let id = self.store.add_custom_field(parent, field_type, name, &options, self.now);
        if let Some(field) = self.store.custom_fields.get_mut(&id) {
            field.displayed = displayed.unwrap_or(true);
            field.required = required.unwrap_or(false);
            field.display_order = order.unwrap_or(field.display_order);
        }
        Ok(id)
    }

    /// Changes a custom field; options are added without an id, renamed by it, and removed by `_deleted`.
    fn update_custom_field(&mut self, id: i64, data: &Data<'_>) -> Result<(), Refusal> {
        let held = self.store.custom_fields.get(&id).filter(|field| !field.deleted);
        let mut field = held.cloned().ok_or_else(|| Refusal::not_found("CustomField"))?;
        if let Some(name) = data.unblank_text("name")? {
            name.clone_into(&mut field.name);
        }
        field.displayed = data.flag("displayed")?.unwrap_or(field.displayed);
        field.required = data.flag("required")?.unwrap_or(field.required);
        field.display_order = data.number("display_order")?.unwrap_or(field.display_order);
        let items = data.objects("picklist_options")?;
        if field.field_type != "picklist" && !items.is_empty() {
            return Err(Refusal::invalid("picklist_options are for a picklist only"));
        }
        for item in items {
            match item.number("id")? {
                None => {
                    let option = item.required_text("option")?;
                    field.options.push(self.store.new_option(option, self.now));
                }
                Some(option) => change_option(&mut field.options, option, &item, self.now)?,
            }
        }
        field.stamp.touch(self.now);
        self.store.custom_fields.insert(id, field);
        Ok(())
    }
}

fn change_option(
    options: &mut [PicklistOption],
    id: i64,
    item: &Data<'_>,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    let option = options
        .iter_mut()
        .find(|option| option.id == id && option.deleted_at.is_none())
        .ok_or_else(|| Refusal::invalid(format!("picklist option {id} is not one of this field")))?;
    if item.flag("_deleted")? == Some(true) {
        option.deleted_at = Some(now);
    } else if let Some(label) = item.unblank_text("option")? {
        label.clone_into(&mut option.option);
    }
    option.stamp.touch(now);
    Ok(())
}

impl Entity for CustomField {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&CUSTOM_FIELD, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, _: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "picklist_options" => return Shown::many(self.live_options()),
            "name" => json!(self.name),
            "parent_type" => json!(self.parent_type),
            "field_type" => json!(self.field_type),
            "displayed" => json!(self.displayed),
            "deleted" => json!(self.deleted),
            "required" => json!(self.required),
            "display_order" => json!(self.display_order),
            _ => Value::Null,
        })
    }
}

impl Entity for PicklistOption {
    fn parts(&self) -> (&'static Shape, i64, &Stamp) {
        (&PICKLIST_OPTION, self.id, &self.stamp)
    }

    fn property<'a>(&'a self, _: &View<'a>, name: &str) -> Shown<'a> {
        Shown::Plain(match name {
            "option" => json!(self.option),
            "deleted_at" => self.deleted_at.map_or(Value::Null, time),
            _ => Value::Null,
        })
    }
}

/// All custom fields.
pub(crate) struct CustomFields;

impl Collection for CustomFields {
    fn shape(&self) -> &'static Shape {
        &CUSTOM_FIELD
    }

    fn orders(&self) -> &'static [&'static str] {
        &["name", "display_order"]
    }

    fn list<'a>(&self, ask: &Ask<'a>, params: &Params) -> Result<Vec<Record<'a>>, Refusal> {
        custom_fields(ask.store, params)
    }

    fn find<'a>(&self, ask: &Ask<'a>, id: i64) -> Option<Record<'a>> {
        let field = ask.store.custom_fields.get(&id)?;
        (!field.deleted).then_some(Record::Of(field))
    }

    fn create(&self, writer: &mut Writer<'_>, data: &Data<'_>) -> Result<i64, Refusal> {
        writer.create_custom_field(data)
    }

    fn update(&self, writer: &mut Writer<'_>, id: i64, data: &Data<'_>) -> Result<(), Refusal> {
        writer.update_custom_field(id, data)
    }
}
