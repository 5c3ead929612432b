//! The facts about Clio Manage's API v4 that this bridge relies on, each in one place.
//!
//! Sections are those of the reference at docs.developers.clio.com.

/// Where the API stands below the host ("Base URL").
pub(crate) const ROOT: &str = "api/v4/";

/// A kind of record at Clio: where it is, what we ask of it, and who may.
#[derive(Debug)]
pub(crate) struct Resource {
    /// Its path without the ending `.json`, which is the reference's own spelling.
    pub(crate) path: &'static str,
    /// One of them, in a person's words.
    pub(crate) singular: &'static str,
    /// The properties that we ask for ("Fields"): braces one level deep, and a record named inside braces shows its id
    /// and etag only.
    pub(crate) fields: &'static str,
    /// What every list of them is asked with.
    pub(crate) filters: &'static [(&'static str, &'static str)],
    /// Whether `order` is a parameter of the list. Where it is not, a cursor is followed as it comes ("Paging").
    pub(crate) is_ordered: bool,
    /// The permission to tick in the developer hub ("Permissions").
    pub(crate) permission: &'static str,
}

impl Resource {
    /// The path of the list.
    pub(crate) fn list(&self) -> String {
        format!("{}.json", self.path)
    }

    /// The path of one record.
    pub(crate) fn record(&self, id: u64) -> String {
        format!("{}/{id}.json", self.path)
    }
}

/// "Matters". Group and practice area tell whether a matter is ours.
pub(crate) static MATTERS: Resource = Resource {
    path: "matters",
    singular: "matter",
    fields: "id,etag,updated_at,description,group{id},practice_area{id},\
             custom_field_values{id,value,field_name,soft_deleted,custom_field}",
    filters: &[],
    is_ordered: true,
    permission: "Matters and Custom Fields",
};

/// "Custom Fields". The parent type is in lower case in the filter, capitalised in bodies and answers
/// ([`PARENT_TYPE_SHOWN`]).
pub(crate) static CUSTOM_FIELDS: Resource = Resource {
    path: "custom_fields",
    singular: "custom field",
    fields: "id,name,parent_type,field_type,deleted,picklist_options{id,option,deleted_at}",
    filters: &[("parent_type", "matter")],
    is_ordered: true,
    permission: "Custom Fields",
};

/// "Contacts".
pub(crate) static CONTACTS: Resource = Resource {
    path: "contacts",
    singular: "client",
    fields: "id,name,type",
    filters: &[],
    is_ordered: true,
    permission: "Contacts",
};

/// "Groups".
pub(crate) static GROUPS: Resource = Resource {
    path: "groups",
    singular: "group",
    fields: "id,name",
    filters: &[],
    is_ordered: true,
    permission: "Users",
};

/// "Practice Areas".
pub(crate) static PRACTICE_AREAS: Resource = Resource {
    path: "practice_areas",
    singular: "practice area",
    fields: "id,name",
    filters: &[],
    is_ordered: true,
    permission: "Matters and Custom Fields",
};

/// What we ask of a matter to know whose it is.
pub(crate) const WHOSE_FIELDS: &str = "id,group{id},practice_area{id}";

/// "Notes". A list must say of which type. No permission of the developer hub is named after notes; they go with the
/// matters. A matter inside another record has neither group nor practice area (`Matter_base`): whose it is must be asked.
pub(crate) static NOTES: Resource = Resource {
    path: "notes",
    singular: "note",
    fields: "id,etag,type,subject,detail,detail_text_type,date,created_at,updated_at,\
             matter{id}",
    filters: &[("type", NOTE_OF_MATTER)],
    is_ordered: true,
    permission: "Matters",
};

/// "Calendars".
pub(crate) static CALENDARS: Resource = Resource {
    path: "calendars",
    singular: "calendar",
    fields: "id,name,permission",
    filters: &[],
    is_ordered: true,
    permission: "Calendars",
};

/// "Calendar Entries". `order` is none of the list's parameters. Without `expanded` a recurring entry is one record.
pub(crate) static CALENDAR_ENTRIES: Resource = Resource {
    path: "calendar_entries",
    singular: "calendar entry",
    fields: "id,etag,summary,description,location,start_at,end_at,all_day,recurrence_rule,updated_at,\
             calendar_owner{id},external_properties{name,value},matter{id}",
    filters: &[],
    is_ordered: false,
    permission: "Calendars",
};

/// "Documents". One that is still being uploaded is listed only if asked for.
pub(crate) static DOCUMENTS: Resource = Resource {
    path: "documents",
    singular: "document",
    fields: "id,etag,name,content_type,updated_at,deleted_at,external_properties{id,name,value},\
             latest_document_version{size,fully_uploaded,version_number},matter{id}",
    filters: &[("show_uncompleted", "true")],
    is_ordered: true,
    permission: "Documents",
};

const RESOURCES: [&Resource; 9] = [
    &MATTERS,
    &CUSTOM_FIELDS,
    &CONTACTS,
    &GROUPS,
    &PRACTICE_AREAS,
    &NOTES,
    &CALENDARS,
    &CALENDAR_ENTRIES,
    &DOCUMENTS,
];

/// What we may be to a calendar that we write to (`Calendar.permission`).
pub(crate) const WRITING_PERMISSIONS: [&str; 2] = ["owner", "editor"];

/// The external property of a calendar entry that says which push made it ("External properties").
pub(crate) const PUSH_PROPERTY: &str = "DATABRIDGE_ID";

/// The external property of a document that is its key, and the name of the key field.
pub(crate) const KEY_PROPERTY: &str = "GIS_ID";

/// What we ask of a document that waits for its bytes ("Documents", uploading).
pub(crate) const UPLOAD_FIELDS: &str = "id,etag,name,matter{id},\
     latest_document_version{uuid,put_url,put_headers,fully_uploaded,version_number}";

/// Where the versions of a document are listed.
pub(crate) fn versions_of(document: u64) -> String {
    format!("{}/{document}/versions.json", DOCUMENTS.path)
}

/// What we ask of a version in that list.
pub(crate) const VERSION_FIELDS: &str = "id,size,version_number,fully_uploaded";

/// The types of errors of a document whose bytes are not in the storage (yet): of no fault that stays
/// (`Document#update`, `fully_uploaded`).
pub(crate) const UPLOAD_ERRORS: [&str; 2] = ["UploadNotFoundError", "UploadTimeoutError"];

/// The type of a note on a matter; the other is `Contact` (`Note.type`).
pub(crate) const NOTE_OF_MATTER: &str = "Matter";

/// The types of a note's detail (`Note.detail_text_type`).
pub(crate) const PLAIN_TEXT: &str = "plain_text";
/// With a small list of HTML tags.
pub(crate) const RICH_TEXT: &str = "rich_text";

/// The permission to tick for a call, `PATCH matters/17`.
pub(crate) fn permission(call: &str) -> &'static str {
    let path = call.split([' ', '/']).nth(1).unwrap_or_default();
    let resource = RESOURCES.iter().find(|resource| resource.path == path);
    resource.map_or(MATTERS.permission, |resource| resource.permission)
}

/// The most records of a page, and the number asked for ("Paging").
pub(crate) const PAGE: usize = 200;

/// The order in which a list is paged by a cursor without end ("Paging").
pub(crate) const ORDER: (&str, &str) = ("order", "id(asc)");

/// The query parameter for the most records of a page ("Paging").
pub(crate) const LIMIT: &str = "limit";

/// The query parameter that names the properties of the answer ("Fields").
pub(crate) const FIELDS: &str = "fields";

/// Filters of lists. `updated_since` means after, in whole seconds.
pub(crate) mod filter {
    pub(crate) const GROUP: &str = "group_id";
    pub(crate) const PRACTICE_AREA: &str = "practice_area_id";
    pub(crate) const UPDATED_SINCE: &str = "updated_since";
    pub(crate) const CREATED_SINCE: &str = "created_since";
    pub(crate) const CALENDAR: &str = "calendar_id";
    pub(crate) const PROPERTY_NAME: &str = "external_property_name";
    pub(crate) const PROPERTY_VALUE: &str = "external_property_value";
    pub(crate) const MATTER: &str = "matter_id";
    pub(crate) const IDS: &str = "ids[]";
    pub(crate) const CONTACT_TYPE: &str = "type";
    pub(crate) const SEARCH: &str = "query";

    /// Matters by the value of a custom field ("Custom field values"): equality.
    pub(crate) fn custom_field(id: u64) -> String {
        format!("custom_field_values[{id}]")
    }
}

/// The parent type of a custom field of matters in a body or an answer (`CustomField#create`).
pub(crate) const PARENT_TYPE_SHOWN: &str = "Matter";

/// Headers of every answer ("Rate limits"); the reset is in unix seconds.
pub(crate) mod header {
    pub(crate) const LIMIT: &str = "x-ratelimit-limit";
    pub(crate) const REMAINING: &str = "x-ratelimit-remaining";
    pub(crate) const RESET: &str = "x-ratelimit-reset";
}

/// The window of the limit, in seconds ("Rate limits"), and the wait after a 429 that names none.
pub(crate) const WINDOW_SECONDS: u64 = 60;
