//! The project's own table of the Clio endpoints in use. Nothing outside it is served.
//!
//! A request outside the table gets 404. Parameters and body keys outside it are ignored, as Clio does with unknown
//! ones, but each such case is kept as a [`crate::strays::Stray`], so that a suite can assert that there is none.

use self::Kind::{
    CalendarEntries, Calendars, Contacts, CustomFields, DocumentVersions, Documents, Groups, Matters, Notes,
    PracticeAreas, Users,
};
use crate::calls::Effect;

/// What is asked of Clio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Many records.
    Index,
    /// One record.
    Show,
    /// A new record.
    Create,
    /// A change of one record.
    Update,
    /// The end of one record.
    Destroy,
    /// The user whose token it is.
    WhoAmI,
    /// All parts of one record.
    Parts,
    /// The bytes of one record, to which the answer redirects.
    Download,
}

/// The kinds of record served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Matters.
    Matters,
    /// Custom fields.
    CustomFields,
    /// Contacts.
    Contacts,
    /// Groups.
    Groups,
    /// Practice areas.
    PracticeAreas,
    /// Users.
    Users,
    /// Notes.
    Notes,
    /// Calendars.
    Calendars,
    /// Calendar entries.
    CalendarEntries,
    /// Documents.
    Documents,
    /// The versions of a document.
    DocumentVersions,
}

/// One line of the table.
#[derive(Debug)]
pub struct Endpoint {
    /// The kind of record.
    pub kind: Kind,
    /// What is asked.
    pub verb: Verb,
    /// The path below `/api/v4/`, without `.json`.
    pub path: &'static str,
    /// The query parameters that are heeded, beside those of all endpoints of the verb.
    pub query: &'static [&'static str],
    /// The keys below `data` that are heeded, dotted; those of an array's items as of an object. In groups, so that a
    /// create and an update can share one.
    pub body: &'static [&'static [&'static str]],
}

/// The parameters of all lists.
const LIST_PARAMETERS: &[&str] =
    &["fields", "limit", "page_token", "ids[]", "updated_since", "created_since"];

impl Endpoint {
    /// The same endpoint, which heeds these parameters as well.
    const fn heeding(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    /// The HTTP verb.
    pub fn method(&self) -> &'static str {
        match self.verb {
            Verb::Index | Verb::Show | Verb::WhoAmI | Verb::Parts | Verb::Download => "GET",
            Verb::Create => "POST",
            Verb::Update => "PATCH",
            Verb::Destroy => "DELETE",
        }
    }

    /// What it does to the account.
    pub fn effect(&self) -> Effect {
        match self.verb {
            Verb::Index | Verb::Show | Verb::WhoAmI | Verb::Parts | Verb::Download => Effect::Read,
            Verb::Create | Verb::Update | Verb::Destroy => Effect::Write,
        }
    }

    /// The statuses that are answered, 410 for a wrong version and 5xx aside.
    pub fn statuses(&self) -> &'static [u16] {
        match self.verb {
            Verb::Index => &[200, 400, 401, 403, 422, 429],
            Verb::Show | Verb::WhoAmI => &[200, 304, 400, 401, 403, 404, 429],
            Verb::Create => &[201, 400, 401, 403, 404, 422, 429],
            Verb::Update => &[200, 400, 401, 403, 404, 412, 422, 429],
            Verb::Parts => &[200, 400, 401, 403, 404, 422, 429],
            Verb::Download => &[303, 400, 401, 404, 429],
            Verb::Destroy if self.kind == Documents => &[204, 401, 404, 409, 429],
            Verb::Destroy => &[204, 401, 403, 404, 429],
        }
    }

    /// All query parameters that are heeded.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        let of_the_verb: &[&str] = match self.verb {
            Verb::Index => LIST_PARAMETERS,
            Verb::Show | Verb::WhoAmI | Verb::Create | Verb::Update => &["fields"],
            Verb::Parts => &["fields", "limit", "page_token"],
            Verb::Destroy | Verb::Download => &[],
        };
        of_the_verb.iter().chain(self.query).copied()
    }

    /// All keys below `data` that are heeded, dotted.
    pub fn body_keys(&self) -> Vec<&'static str> {
        self.body.concat()
    }
}

const fn index(kind: Kind, path: &'static str, query: &'static [&'static str]) -> Endpoint {
    Endpoint { kind, verb: Verb::Index, path, query, body: &[] }
}

const fn show(kind: Kind, path: &'static str) -> Endpoint {
    Endpoint { kind, verb: Verb::Show, path, query: &[], body: &[] }
}

const fn create(kind: Kind, path: &'static str, body: &'static [&'static [&'static str]]) -> Endpoint {
    Endpoint { kind, verb: Verb::Create, path, query: &[], body }
}

const fn update(kind: Kind, path: &'static str, body: &'static [&'static [&'static str]]) -> Endpoint {
    Endpoint { kind, verb: Verb::Update, path, query: &[], body }
}

const fn destroy(kind: Kind, path: &'static str) -> Endpoint {
    Endpoint { kind, verb: Verb::Destroy, path, query: &[], body: &[] }
}

/// Which custom field values an answer about a matter shows.
const VALUES_SHOWN: &[&str] = &["custom_field_ids[]"];

const MATTER: &[&str] = &[
    "client.id",
    "description",
    "status",
    "location",
    "client_reference",
    "billable",
    "open_date",
    "group.id",
    "practice_area.id",
    "custom_field_values.custom_field.id",
    "custom_field_values.value",
];

const CUSTOM_FIELD: &[&str] = &["name", "displayed", "required", "display_order", "picklist_options.option"];

const NOTE: &[&str] = &["subject", "detail", "detail_text_type", "date"];

const CALENDAR_ENTRY: &[&str] = &[
    "summary",
    "description",
    "location",
    "start_at",
    "end_at",
    "all_day",
    "calendar_owner.id",
    "matter.id",
    "external_properties.name",
    "external_properties.value",
];

const DOCUMENT: &[&str] = &["name", "received_at", "external_properties.name", "external_properties.value"];

/// What changes a property that is there, or takes it away.
const CHANGED_PROPERTY: &[&str] = &["external_properties.id", "external_properties._destroy"];

/// The table.
pub static ENDPOINTS: &[Endpoint] = &[
    index(
        Matters,
        "matters",
        &[
            "order",
            "group_id",
            "practice_area_id",
            "client_id",
            "status",
            "query",
            "custom_field_values",
            "custom_field_ids[]",
        ],
    ),
    create(Matters, "matters", &[MATTER]).heeding(VALUES_SHOWN),
    show(Matters, "matters/{id}").heeding(VALUES_SHOWN),
    update(Matters, "matters/{id}", &[MATTER, &["custom_field_values.id", "custom_field_values._destroy"]])
        .heeding(VALUES_SHOWN),
    destroy(Matters, "matters/{id}"),
    index(CustomFields, "custom_fields", &["order", "parent_type", "field_type", "query", "deleted"]),
    create(CustomFields, "custom_fields", &[CUSTOM_FIELD, &["parent_type", "field_type"]]),
    show(CustomFields, "custom_fields/{id}"),
    update(
        CustomFields,
        "custom_fields/{id}",
        &[CUSTOM_FIELD, &["picklist_options.id", "picklist_options._deleted"]],
    ),
    index(Contacts, "contacts", &["order", "query", "type", "client_only"]),
    create(Contacts, "contacts", &[&["name", "type", "first_name", "last_name", "title"]]),
    show(Contacts, "contacts/{id}"),
    index(Groups, "groups", &["order", "name", "query", "type"]),
    create(Groups, "groups", &[&["name"]]),
    show(Groups, "groups/{id}"),
    index(PracticeAreas, "practice_areas", &["order", "name", "code"]),
    create(PracticeAreas, "practice_areas", &[&["name", "code", "category"]]),
    show(PracticeAreas, "practice_areas/{id}"),
    Endpoint { verb: Verb::WhoAmI, ..show(Users, "users/who_am_i") },
    index(Users, "users", &["order", "name", "enabled"]),
    show(Users, "users/{id}"),
    index(Notes, "notes", &["order", "type", "matter_id", "contact_id", "query"]),
    create(Notes, "notes", &[NOTE, &["type", "matter.id", "contact.id"]]),
    show(Notes, "notes/{id}"),
    update(Notes, "notes/{id}", &[NOTE]),
    destroy(Notes, "notes/{id}"),
    index(Calendars, "calendars", &["order", "type", "writeable", "visible"]),
    create(Calendars, "calendars", &[&["name", "color", "visible"]]),
    show(Calendars, "calendars/{id}"),
    index(
        CalendarEntries,
        "calendar_entries",
        &[
            "calendar_id",
            "matter_id",
            "from",
            "to",
            "is_all_day",
            "query",
            "external_property_name",
            "external_property_value",
        ],
    ),
    create(CalendarEntries, "calendar_entries", &[CALENDAR_ENTRY]),
    show(CalendarEntries, "calendar_entries/{id}"),
    update(CalendarEntries, "calendar_entries/{id}", &[CALENDAR_ENTRY, CHANGED_PROPERTY]),
    destroy(CalendarEntries, "calendar_entries/{id}"),
    index(
        Documents,
        "documents",
        &[
            "order",
            "matter_id",
            "contact_id",
            "locked",
            "query",
            "include_deleted",
            "show_uncompleted",
            "external_property_name",
            "external_property_value",
        ],
    ),
    create(Documents, "documents", &[DOCUMENT, &["parent.id", "parent.type", "filename", "content_type"]]),
    show(Documents, "documents/{id}"),
    update(
        Documents,
        "documents/{id}",
        &[DOCUMENT, CHANGED_PROPERTY, &["uuid", "fully_uploaded", "restore"]],
    ),
    destroy(Documents, "documents/{id}"),
    Endpoint { verb: Verb::Parts, ..show(DocumentVersions, "documents/{id}/versions") }
        .heeding(&["fully_uploaded"]),
    Endpoint { verb: Verb::Download, ..show(Documents, "documents/{id}/download") }
        .heeding(&["document_version_id"]),
];

/// The line for a request, with the id in its path. The path is the one below `/api/v4/`; `.json` may end it.
pub fn find(method: &str, path: &str) -> Option<(&'static Endpoint, Option<i64>)> {
    let path = path.strip_suffix(".json").unwrap_or(path);
    let served = ENDPOINTS.iter().filter(|endpoint| endpoint.method() == method);
    served.into_iter().find_map(|endpoint| match endpoint.path.split_once("{id}") {
        None => (endpoint.path == path).then_some((endpoint, None)),
        Some((before, after)) => {
            let id = path.strip_prefix(before)?.strip_suffix(after)?.parse().ok()?;
            Some((endpoint, Some(id)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_with_and_without_its_ending() {
        for path in ["matters/17", "matters/17.json"] {
            let (endpoint, id) = find("PATCH", path).unwrap();
            assert_eq!((endpoint.verb, id), (Verb::Update, Some(17)));
        }
        assert!(find("PATCH", "matters").is_none());
        assert!(find("GET", "matters/seventeen").is_none());
        let (endpoint, id) = find("GET", "documents/17/download.json").unwrap();
        assert_eq!((endpoint.verb, id), (Verb::Download, Some(17)));
        assert!(find("GET", "documents/17/bytes").is_none());
        assert_eq!(find("GET", "users/who_am_i.json").unwrap().0.verb, Verb::WhoAmI);
    }
}
