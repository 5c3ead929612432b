//! Global ids: made by the server or chosen by a client, written in braces and upper case.

use sha2::{Digest, Sha256};

/// The id as an Enterprise server writes it, `{…}` in upper case, or `None` if the text is none.
pub(super) fn normalized(text: &str) -> Option<String> {
    let text = text.trim();
    let bare = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    let groups: Vec<&str> = bare.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let hexadecimal = groups.iter().all(|group| group.chars().all(|digit| digit.is_ascii_hexdigit()));
    (hexadecimal && lengths == [8, 4, 4, 4, 12]).then(|| format!("{{{}}}", bare.to_ascii_uppercase()))
}

/// A global id that depends only on the layer and the number, so that two runs of a test give the same ones.
pub(super) fn made(layer: u32, number: u64) -> String {
    let digest = hex::encode_upper(Sha256::digest(format!("global id {number} of layer {layer}")));
    let mut digits = digest.chars();
    let mut take = |count: usize| digits.by_ref().take(count).collect::<String>();
    format!("{{{}-{}-4{}-A{}-{}}}", take(8), take(4), take(3), take(3), take(12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_and_case_do_not_matter_and_what_is_no_id_is_none() {
        let id = "{0A1B2C3D-0000-4000-8000-00000000ABCD}";
        assert_eq!(normalized("0a1b2c3d-0000-4000-8000-00000000abcd").as_deref(), Some(id));
        assert_eq!(normalized(id).as_deref(), Some(id));
        for wrong in [
            "",
            "{}",
            "0A1B2C3D",
            "{0A1B2C3D-0000-4000-8000-00000000ABCD",
            "0A1B2C3D-0000-4000-8000-00000000ABCG",
        ] {
            assert_eq!(normalized(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn made_ids_are_ids_and_differ() {
        let id = made(2, 1);
        assert_eq!(normalized(&id), Some(id.clone()));
        assert_ne!(id, made(2, 2));
        assert_ne!(id, made(6, 1));
    }
}
