//! The project's own table of the Clio endpoints in use. Nothing outside it is served.
//!
//! A request outside the table gets 404. Parameters and body keys outside it are ignored, as Clio does with unknown
//! ones, but each such case is kept as a [`Stray`], so that a suite can assert that there is none.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

/// The kinds of record served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
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
}

/// One line of the table.
#[derive(Debug)]
pub struct Endpoint {
    /// The kind of record.
    pub collection: Collection,
    /// What is asked.
    pub verb: Verb,
    /// The HTTP verb.
    pub method: &'static str,
    /// The path below `/api/v4/`, without `.json`.
    pub path: &'static str,
    /// The query parameters that are heeded.
    pub query: &'static [&'static str],
    /// The keys below `data` that are heeded, dotted; those of an array's items as of an object.
    pub body: &'static [&'static str],
    /// The statuses that are answered, 410 for a wrong version and 5xx aside.
    pub statuses: &'static [u16],
}

impl Endpoint {
    /// What it does to the account.
    pub fn effect(&self) -> Effect {
        match self.verb {
            Verb::Index | Verb::Show | Verb::WhoAmI => Effect::Read,
            Verb::Create | Verb::Update | Verb::Destroy => Effect::Write,
        }
    }
}

const SHOW: &[u16] = &[200, 304, 400, 401, 403, 404, 429];
const INDEX: &[u16] = &[200, 400, 401, 403, 422, 429];
const CREATE: &[u16] = &[201, 400, 401, 403, 404, 422, 429];
const UPDATE: &[u16] = &[200, 400, 401, 403, 404, 412, 422, 429];
const DESTROY: &[u16] = &[204, 401, 403, 404, 429];

const FIELDS: &[&str] = &["fields"];
const MATTER_FIELDS: &[&str] = &["fields", "custom_field_ids[]"];

/// The table.
pub static ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        collection: Collection::Matters,
        verb: Verb::Index,
        method: "GET",
        path: "matters",
        query: &[
            "fields",
            "limit",
            "page_token",
            "order",
            "ids[]",
            "group_id",
            "practice_area_id",
            "client_id",
            "status",
            "query",
            "updated_since",
            "created_since",
            "custom_field_values",
            "custom_field_ids[]",
        ],
        body: &[],
        statuses: INDEX,
    },
    Endpoint {
        collection: Collection::Matters,
        verb: Verb::Create,
        method: "POST",
        path: "matters",
        query: MATTER_FIELDS,
        body: &[
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
        ],
        statuses: CREATE,
    },
    Endpoint {
        collection: Collection::Matters,
        verb: Verb::Show,
        method: "GET",
        path: "matters/{id}",
        query: MATTER_FIELDS,
        body: &[],
        statuses: SHOW,
    },
    Endpoint {
        collection: Collection::Matters,
        verb: Verb::Update,
        method: "PATCH",
        path: "matters/{id}",
        query: MATTER_FIELDS,
        body: &[
            "client.id",
            "description",
            "status",
            "location",
            "client_reference",
            "billable",
            "open_date",
            "group.id",
            "practice_area.id",
            "custom_field_values.id",
            "custom_field_values._destroy",
            "custom_field_values.custom_field.id",
            "custom_field_values.value",
        ],
        statuses: UPDATE,
    },
    Endpoint {
        collection: Collection::Matters,
        verb: Verb::Destroy,
        method: "DELETE",
        path: "matters/{id}",
        query: &[],
        body: &[],
        statuses: DESTROY,
    },
    Endpoint {
        collection: Collection::CustomFields,
        verb: Verb::Index,
        method: "GET",
        path: "custom_fields",
        query: &[
            "fields",
            "limit",
            "page_token",
            "order",
            "ids[]",
            "parent_type",
            "field_type",
            "query",
            "deleted",
            "updated_since",
            "created_since",
        ],
        body: &[],
        statuses: INDEX,
    },
    Endpoint {
        collection: Collection::CustomFields,
        verb: Verb::Create,
        method: "POST",
        path: "custom_fields",
        query: FIELDS,
        body: &[
            "name",
            "parent_type",
            "field_type",
            "displayed",
            "required",
            "display_order",
            "picklist_options.option",
        ],
        statuses: CREATE,
    },
    Endpoint {
        collection: Collection::CustomFields,
        verb: Verb::Show,
        method: "GET",
        path: "custom_fields/{id}",
        query: FIELDS,
        body: &[],
        statuses: SHOW,
    },
    Endpoint {
        collection: Collection::CustomFields,
        verb: Verb::Update,
        method: "PATCH",
        path: "custom_fields/{id}",
        query: FIELDS,
        body: &[
            "name",
            "displayed",
            "required",
            "display_order",
            "picklist_options.id",
            "picklist_options.option",
            "picklist_options._deleted",
        ],
        statuses: UPDATE,
    },
    Endpoint {
        collection: Collection::Contacts,
        verb: Verb::Index,
        method: "GET",
        path: "contacts",
        query: &[
            "fields",
            "limit",
            "page_token",
            "order",
            "ids[]",
            "query",
            "type",
            "client_only",
            "updated_since",
            "created_since",
        ],
        body: &[],
        statuses: INDEX,
    },
    Endpoint {
        collection: Collection::Contacts,
        verb: Verb::Create,
        method: "POST",
        path: "contacts",
        query: FIELDS,
        body: &["name", "type", "first_name", "last_name", "title"],
        statuses: CREATE,
    },
    Endpoint {
        collection: Collection::Contacts,
        verb: Verb::Show,
        method: "GET",
        path: "contacts/{id}",
        query: FIELDS,
        body: &[],
        statuses: SHOW,
    },
    Endpoint {
        collection: Collection::Groups,
        verb: Verb::Index,
        method: "GET",
        path: "groups",
        query: &[
            "fields",
            "limit",
            "page_token",
            "order",
            "ids[]",
            "name",
            "query",
            "type",
            "updated_since",
            "created_since",
        ],
        body: &[],
        statuses: INDEX,
    },
    Endpoint {
        collection: Collection::Groups,
        verb: Verb::Create,
        method: "POST",
        path: "groups",
        query: FIELDS,
        body: &["name"],
        statuses: CREATE,
    },
    Endpoint {
        collection: Collection::Groups,
        verb: Verb::Show,
        method: "GET",
        path: "groups/{id}",
        query: FIELDS,
        body: &[],
        statuses: SHOW,
    },
    Endpoint {
        collection: Collection::PracticeAreas,
        verb: Verb::Index,
        method: "GET",
        path: "practice_areas",
        query: &[
            "fields",
            "limit",
            "page_token",
            "order",
            "ids[]",
            "name",
            "code",
            "updated_since",
            "created_since",
        ],
        body: &[],
        statuses: INDEX,
    },
    Endpoint {
        collection: Collection::PracticeAreas,
        verb: Verb::Create,
        method: "POST",
        path: "practice_areas",
        query: FIELDS,
        body: &["name", "code", "category"],
        statuses: CREATE,
    },
    Endpoint {
        collection: Collection::PracticeAreas,
        verb: Verb::Show,
        method: "GET",
        path: "practice_areas/{id}",
        query: FIELDS,
        body: &[],
        statuses: SHOW,
    },
    Endpoint {
        collection: Collection::Users,
        verb: Verb::WhoAmI,
        method: "GET",
        path: "users/who_am_i",
        query: FIELDS,
        body: &[],
        statuses: SHOW,
    },
    Endpoint {
        collection: Collection::Users,
        verb: Verb::Index,
        method: "GET",
        path: "users",
        query: &[
            "fields",
            "limit",
            "page_token",
            "order",
            "ids[]",
            "name",
            "enabled",
            "updated_since",
            "created_since",
        ],
        body: &[],
        statuses: INDEX,
    },
    Endpoint {
        collection: Collection::Users,
        verb: Verb::Show,
        method: "GET",
        path: "users/{id}",
        query: FIELDS,
        body: &[],
        statuses: SHOW,
    },
];

/// The line for a request, with the id in its path. The path is the one below `/api/v4/`; `.json` may end it.
pub fn find(method: &str, path: &str) -> Option<(&'static Endpoint, Option<i64>)> {
    let path = path.strip_suffix(".json").unwrap_or(path);
    ENDPOINTS.iter().filter(|endpoint| endpoint.method == method).find_map(|endpoint| {
        match endpoint.path.strip_suffix("{id}") {
            None => (endpoint.path == path).then_some((endpoint, None)),
            Some(before) => {
                let id = path.strip_prefix(before)?.parse().ok()?;
                Some((endpoint, Some(id)))
            }
        }
    })
}

/// A request, parameter or body key outside the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// The HTTP verb.
    pub method: String,
    /// The path below `/api/v4/`.
    pub path: String,
    /// `path`, `parameter`, `body` or `order`.
    pub what: String,
    /// The parameter or key; empty for a path.
    pub name: String,
}

/// All strays so far.
#[derive(Default)]
pub struct Strays {
    seen: Mutex<Vec<Stray>>,
}

impl Strays {
    /// Keeps one.
    pub fn add(&self, method: &str, path: &str, what: &str, name: &str) {
        let stray = Stray {
            method: method.to_owned(),
            path: path.to_owned(),
            what: what.to_owned(),
            name: name.to_owned(),
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(stray);
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Stray> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets them.
    pub fn clear(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Takes from a body's `data` every key outside the table and gives their dotted names.
pub fn drop_unknown(data: &mut Value, known: &[&str]) -> Vec<String> {
    let mut dropped = Vec::new();
    walk(data, "", known, &mut dropped);
    dropped
}

fn walk(value: &mut Value, path: &str, known: &[&str], dropped: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, path, known, dropped)),
        Value::Object(object) => {
            let names: Vec<String> = object.keys().cloned().collect();
            for name in names {
                let dotted = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let below = format!("{dotted}.");
                let is_known = known.iter().any(|known| *known == dotted || known.starts_with(&below));
                if !is_known {
                    object.remove(&name);
                    dropped.push(dotted);
                } else if let Some(inner) = object.get_mut(&name) {
                    walk(inner, &dotted, known, dropped);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_found_with_and_without_its_ending() {
        for path in ["matters/17", "matters/17.json"] {
            let (endpoint, id) = find("PATCH", path).unwrap();
            assert_eq!((endpoint.verb, id), (Verb::Update, Some(17)));
        }
        assert!(find("PATCH", "matters").is_none());
        assert!(find("GET", "matters/seventeen").is_none());
        assert_eq!(find("GET", "users/who_am_i.json").unwrap().0.verb, Verb::WhoAmI);
    }

    #[test]
    fn keys_outside_the_table_are_dropped_and_told() {
        let (endpoint, _) = find("POST", "matters").unwrap();
        let mut data = json!({
            "description": "Roof", "billing_method": "flat",
            "client": {"id": 1, "name": "x"},
            "custom_field_values": [{"custom_field": {"id": 2}, "value": "v", "note": 1}],
        });
        let dropped = drop_unknown(&mut data, endpoint.body);
        assert_eq!(dropped, ["billing_method", "client.name", "custom_field_values.note"]);
        assert_eq!(data["client"], json!({"id": 1}));
        assert_eq!(data["custom_field_values"][0], json!({"custom_field": {"id": 2}, "value": "v"}));
    }
}
