//! The id of a row: its object id, and its GlobalID where the layer has them, as `42@6f0c52b1-8f6e-4c0a-9a51-3d2f7be410c7`.
//!
//! The object id alone is no identity: a layer that is published anew begins at 1 again, and the numbers then belong to
//! other rows (arcgis.md, section 13, "Ids"). The GlobalID alone is no address: updates and attachments go by number.

use crate::decode::normal_global_id;

/// The id of a row.
pub(crate) fn row_id(object_id: i64, global_id: Option<&str>) -> String {
    match global_id {
        Some(global_id) => format!("{object_id}@{}", normal_global_id(global_id)),
        None => object_id.to_string(),
    }
}

/// The object id in the id of a row, be it with the GlobalID or without.
pub(crate) fn object_id_in(id: &str) -> Option<i64> {
    id.split('@').next()?.trim().parse().ok()
}

/// Whether an id names a row and not just its number, which another row may have by now.
pub(crate) fn is_whole(id: &str) -> bool {
    id.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_number_and_where_there_is_one_the_global_id() {
        assert_eq!(row_id(42, Some("{AB-1}")), "42@ab-1");
        assert_eq!(row_id(42, None), "42");
        assert_eq!(
            (object_id_in("42@ab-1"), object_id_in(" 42 "), object_id_in("x")),
            (Some(42), Some(42), None)
        );
        assert!(is_whole("42@ab-1") && !is_whole("42"));
    }
}
