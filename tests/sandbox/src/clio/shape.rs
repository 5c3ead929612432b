//! Which properties each kind of record has.
//!
//! Source: the response schemas of the specification; of their properties those that the sandbox keeps.

/// The properties of one kind of record, beside those of every record.
pub(super) struct Shape {
    /// The record's name in the specification.
    pub(super) kind: &'static str,
    /// Its properties that are values.
    plain: &'static [&'static str],
    /// Its properties that are records themselves, with the shapes of those.
    nested: &'static [(&'static str, &'static Shape)],
    /// Those shown when none are asked for.
    defaults: &'static [&'static str],
}

/// Properties of every record, always shown when none are asked for.
const OF_EVERY_RECORD: &[&str] = &["id", "etag"];

impl Shape {
    /// Whether it has a property.
    pub(super) fn has(&self, name: &str) -> bool {
        OF_EVERY_RECORD.iter().chain(self.plain).any(|found| *found == name) || self.nested(name).is_some()
    }

    /// The properties shown when none are asked for.
    pub(super) fn defaults(&self) -> impl Iterator<Item = &'static str> {
        OF_EVERY_RECORD.iter().chain(self.defaults).copied()
    }

    /// The shape of the record or records in a property.
    pub(super) fn nested(&self, name: &str) -> Option<&'static Shape> {
        self.nested.iter().find(|(found, _)| *found == name).map(|(_, shape)| *shape)
    }
}

/// A matter.
pub(super) static MATTER: Shape = Shape {
    kind: "Matter",
    plain: &[
        "number",
        "display_number",
        "description",
        "status",
        "location",
        "client_reference",
        "client_id",
        "billable",
        "open_date",
        "close_date",
        "pending_date",
        "created_at",
        "updated_at",
    ],
    nested: &[
        ("client", &CONTACT),
        ("group", &GROUP),
        ("practice_area", &PRACTICE_AREA),
        ("custom_field_values", &FIELD_VALUE),
    ],
    defaults: &["display_number"],
};

/// The value of a custom field.
pub(super) static FIELD_VALUE: Shape = Shape {
    kind: "CustomFieldValue",
    plain: &[
        "field_name",
        "created_at",
        "updated_at",
        "field_type",
        "field_required",
        "field_displayed",
        "field_display_order",
        "value",
        "soft_deleted",
    ],
    nested: &[("custom_field", &CUSTOM_FIELD), ("picklist_option", &PICKLIST_OPTION)],
    defaults: &[],
};

/// The definition of a custom field.
pub(super) static CUSTOM_FIELD: Shape = Shape {
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
    nested: &[("picklist_options", &PICKLIST_OPTION)],
    defaults: &[],
};

/// One option of a picklist.
pub(super) static PICKLIST_OPTION: Shape = Shape {
    kind: "PicklistOption",
    plain: &["created_at", "updated_at", "option", "deleted_at"],
    nested: &[],
    defaults: &[],
};

/// A contact.
pub(super) static CONTACT: Shape = Shape {
    kind: "Contact",
    plain: &["name", "first_name", "last_name", "title", "type", "is_client", "created_at", "updated_at"],
    nested: &[],
    defaults: &[],
};

/// A group.
pub(super) static GROUP: Shape =
    Shape { kind: "Group", plain: &["name", "type", "updated_at"], nested: &[], defaults: &[] };

/// A practice area.
pub(super) static PRACTICE_AREA: Shape = Shape {
    kind: "PracticeArea",
    plain: &["name", "code", "category", "created_at", "updated_at"],
    nested: &[],
    defaults: &[],
};

/// A user.
pub(super) static USER: Shape = Shape {
    kind: "User",
    plain: &[
        "name",
        "first_name",
        "last_name",
        "email",
        "enabled",
        "account_owner",
        "created_at",
        "updated_at",
    ],
    nested: &[("account", &ACCOUNT)],
    defaults: &["name"],
};

/// A firm's account.
pub(super) static ACCOUNT: Shape = Shape {
    kind: "Account",
    plain: &["name", "state", "created_at", "updated_at"],
    nested: &[],
    defaults: &[],
};
