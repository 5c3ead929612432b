//! The facts about Clio Manage's API v4 that this bridge relies on, each in one place.
//!
//! Sections are those of the reference at docs.developers.clio.com.

/// Where the API stands below the host ("Base URL").
pub(crate) const ROOT: &str = "api/v4/";

/// The paths of the collections (the reference's own spelling ends in `.json`).
pub(crate) mod path {
    pub(crate) const MATTERS: &str = "matters.json";
    pub(crate) const CUSTOM_FIELDS: &str = "custom_fields.json";
    pub(crate) const CONTACTS: &str = "contacts.json";
    pub(crate) const GROUPS: &str = "groups.json";
    pub(crate) const PRACTICE_AREAS: &str = "practice_areas.json";

    pub(crate) fn matter(id: u64) -> String {
        format!("matters/{id}.json")
    }

    pub(crate) fn custom_field(id: u64) -> String {
        format!("custom_fields/{id}.json")
    }
}

/// The most records of a page, and the number asked for ("Paging").
pub(crate) const PAGE: usize = 200;

/// The order in which a list is paged by a cursor without end ("Paging").
pub(crate) const ORDER: (&str, &str) = ("order", "id(asc)");

/// The query parameter for the most records of a page ("Paging").
pub(crate) const LIMIT: &str = "limit";

/// The query parameter that names the properties of the answer ("Fields"): braces one level deep, and a record named
/// inside braces shows its id and etag only.
pub(crate) const FIELDS: &str = "fields";

/// What we ask of a matter.
pub(crate) const MATTER_FIELDS: &str = "id,etag,updated_at,description,group{id},practice_area{id},\
     custom_field_values{id,value,field_name,soft_deleted,custom_field}";

/// What we ask of a custom field.
pub(crate) const CUSTOM_FIELD_FIELDS: &str =
    "id,name,parent_type,field_type,deleted,picklist_options{id,option,deleted_at}";

/// What we ask of a contact.
pub(crate) const CONTACT_FIELDS: &str = "id,name,type";

/// What we ask of a group or a practice area.
pub(crate) const NAMED_FIELDS: &str = "id,name";

/// Filters of `Matter#index`. `updated_since` means after, in whole seconds.
pub(crate) mod filter {
    pub(crate) const GROUP: &str = "group_id";
    pub(crate) const PRACTICE_AREA: &str = "practice_area_id";
    pub(crate) const UPDATED_SINCE: &str = "updated_since";
    pub(crate) const IDS: &str = "ids[]";
    pub(crate) const CONTACT_TYPE: &str = "type";
    pub(crate) const SEARCH: &str = "query";

    /// Matters by the value of a custom field ("Custom field values"): equality.
    pub(crate) fn custom_field(id: u64) -> String {
        format!("custom_field_values[{id}]")
    }
}

/// Custom fields of matters: lower case in the filter, capitalised in bodies and answers (`CustomField#index`).
pub(crate) const PARENT_TYPE: (&str, &str) = ("parent_type", "matter");

/// The same in a body or an answer.
pub(crate) const PARENT_TYPE_SHOWN: &str = "Matter";

/// Headers of every answer ("Rate limits"); the reset is in unix seconds.
pub(crate) mod header {
    pub(crate) const LIMIT: &str = "x-ratelimit-limit";
    pub(crate) const REMAINING: &str = "x-ratelimit-remaining";
    pub(crate) const RESET: &str = "x-ratelimit-reset";
}

/// The window of the limit, in seconds ("Rate limits"): the wait after a 429 that names none.
pub(crate) const WINDOW_SECONDS: u64 = 60;

/// The permission to tick for a path in the developer hub ("Permissions").
pub(crate) fn permission(call: &str) -> &'static str {
    if call.contains("custom_fields") {
        "Custom Fields"
    } else if call.contains("contacts") {
        "Contacts"
    } else if call.contains("groups") || call.contains("users") {
        "Users"
    } else {
        "Matters and Custom Fields"
    }
}
