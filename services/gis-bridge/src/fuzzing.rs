//! The bodies of the fuzz targets `gis_rows` and `gis_answers`. Nothing of the product depends on them.

#![expect(clippy::missing_panics_doc, reason = "the body of a fuzz target panics at what it finds")]

mod answers;
mod rows;

pub use answers::gis_answers;
pub use rows::gis_rows;

/// No text that is made of an answer is longer, for a person reads it.
const LONGEST_REASON: usize = 1500;

#[cfg(test)]
mod tests {
    #[test]
    fn what_fuzzing_has_kept_of_gis_rows_passes() {
        corpus::replay("gis_rows", super::gis_rows);
    }

    #[test]
    fn what_fuzzing_has_kept_of_gis_answers_passes() {
        corpus::replay("gis_answers", super::gis_answers);
    }
}
