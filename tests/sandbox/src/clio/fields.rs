//! The `fields` parameter: which properties an answer carries.
//!
//! Source: "Fields" in Clio's API documentation, and the response schemas of the specification. One level of braces; a record
//! of the second level may be named where the schema of the first has it, and gives its default fields only. The prose
//! has an example that the schemas do not know, the client of a nested matter: it is refused here, for nobody may rely on it.

use super::refusal::Refusal;
use super::shape::Shape;

/// One property asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selected {
    /// The property.
    pub(super) name: String,
    /// The properties asked for of a nested record; `None` gives its defaults.
    pub(super) nested: Option<Vec<String>>,
}

/// Reads the parameter and checks every name against the record's shape. `None` selects the defaults.
pub(super) fn parse(parameter: Option<&str>, shape: &Shape) -> Result<Vec<Selected>, Refusal> {
    let Some(text) = parameter.filter(|text| !text.trim().is_empty()) else {
        return Ok(defaults(shape));
    };
    split(text)?.into_iter().map(|part| selected(part, shape)).collect()
}

/// The fields that a record shows when none are asked for.
pub(super) fn defaults(shape: &Shape) -> Vec<Selected> {
    shape.defaults().map(|name| Selected { name: name.to_owned(), nested: None }).collect()
}

/// Splits at commas outside braces.
fn split(text: &str) -> Result<Vec<&str>, Refusal> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut depth = 0_u8;
    let mut searched = 0;
    while let Some(found) = rest.get(searched..).and_then(|tail| tail.find(['{', '}', ','])) {
        let at = searched + found;
        let mark = rest.as_bytes().get(at).copied();
        searched = at + 1;
        match mark {
            Some(b'{') if depth == 0 => depth = 1,
            Some(b'{') => return Err(Refusal::fields("Fields may be nested one level deep only")),
            Some(b'}') if depth == 1 => depth = 0,
            Some(b',') if depth == 1 => {}
            Some(b',') => {
                parts.push(rest.get(..at).unwrap_or_default());
                rest = rest.get(searched..).unwrap_or_default();
                searched = 0;
            }
            _ => return Err(unbalanced()),
        }
    }
    if depth != 0 {
        return Err(unbalanced());
    }
    parts.push(rest);
    Ok(parts)
}

fn unbalanced() -> Refusal {
    Refusal::fields("Fields has braces that do not match")
}

fn selected(part: &str, shape: &Shape) -> Result<Selected, Refusal> {
    let (name, nested) = match part.split_once('{') {
        None => (part.trim(), None),
        Some((name, rest)) => {
            let inner = rest.trim_end().strip_suffix('}').ok_or_else(unbalanced)?;
            (name.trim(), Some(inner))
        }
    };
    if !shape.has(name) {
        return Err(unknown(name));
    }
    let Some(inner) = nested else {
        return Ok(Selected { name: name.to_owned(), nested: None });
    };
    let record = shape.nested(name).ok_or_else(|| unknown(inner))?;
    let mut names = Vec::new();
    for inner_name in inner.split(',').map(str::trim) {
        if !record.has(inner_name) {
            return Err(unknown(inner_name));
        }
        names.push(inner_name.to_owned());
    }
    Ok(Selected { name: name.to_owned(), nested: Some(names) })
}

fn unknown(name: &str) -> Refusal {
    Refusal::fields(format!("{name} is not a valid field"))
}

#[cfg(test)]
mod tests {
    use super::super::collections::documents::DOCUMENT;
    use super::super::collections::matters::MATTER;
    use super::super::collections::notes::NOTE;
    use super::*;

    #[test]
    fn nothing_asked_gives_the_defaults() {
        let names: Vec<_> = parse(None, &MATTER).unwrap().into_iter().map(|field| field.name).collect();
        assert_eq!(names, ["id", "etag", "display_number"]);
    }

    #[test]
    fn one_level_of_braces_is_read() {
        let fields = parse(Some("id, client{id,name},status"), &MATTER).unwrap();
        assert_eq!(fields.len(), 3);
        assert_eq!(fields[1].nested.as_deref(), Some(&["id".to_owned(), "name".to_owned()][..]));
        assert_eq!(fields[2].name, "status");
    }

    #[test]
    fn braces_in_braces_are_refused_with_400() {
        let refusal = parse(Some("custom_field_values{custom_field{id}}"), &MATTER).unwrap_err();
        assert_eq!((refusal.status, refusal.kind), (400, "InvalidFields"));
    }

    #[test]
    fn a_record_in_a_record_is_asked_for_what_its_own_schema_has_and_no_more() {
        for bad in
            ["matter{id,group}", "matter{practice_area}", "matter{client}", "matter{custom_field_values}"]
        {
            let refusal = parse(Some(bad), &NOTE).unwrap_err();
            assert_eq!((refusal.status, refusal.kind), (400, "InvalidFields"), "{bad}");
        }
        assert!(parse(Some("matter{id,display_number,client_id}"), &NOTE).is_ok());
        assert!(parse(Some("custom_field_values{custom_field,picklist_option}"), &MATTER).is_ok());
        assert!(parse(Some("latest_document_version{creator,put_headers}"), &DOCUMENT).is_ok());
    }

    #[test]
    fn unknown_names_and_loose_braces_are_refused_with_400() {
        for bad in
            ["id,nonsense", "client{nonsense}", "description{id}", "client{id", "client}", "id,", "client{}"]
        {
            assert_eq!(parse(Some(bad), &MATTER).map_err(|refusal| refusal.status), Err(400), "{bad}");
        }
    }
}
