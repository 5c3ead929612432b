//! The files that hang on litigations.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::City;
use crate::gis::GeneratedAttachment;

/// Names as people give them, the number standing for `#`, and the type of such files.
const KINDS: [(&str, &str); 8] = [
    ("IMG_#.jpg", "image/jpeg"),
    ("front #.JPG", "image/jpeg"),
    ("photo-#.png", "image/png"),
    ("Inspection report #.pdf", "application/pdf"),
    ("Notice (signed) #.pdf", "application/pdf"),
    ("Señal de demolición #.pdf", "application/pdf"),
    ("call notes #.txt", "text/plain"),
    ("estimate #.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
];
/// The sizes in bytes where none is wished for.
const USUAL_SIZES: std::ops::Range<u64> = 200..24_000;

/// The files of each litigation, by its number from 1 on. Some have several, many have none.
pub(super) fn files(city: &City) -> BTreeMap<usize, Vec<GeneratedAttachment>> {
    let mut files: BTreeMap<usize, Vec<GeneratedAttachment>> = BTreeMap::new();
    let random = &mut StdRng::seed_from_u64(city.seed ^ 0xA77A_C4ED);
    let count = if city.litigations == 0 { 0 } else { city.attachments };
    for number in 0..count as u64 {
        let litigation = random.random_range(1..=city.litigations);
        let (name, content_type) = KINDS.choose(random).unwrap_or(&("file #", "application/octet-stream"));
        let usual_size = random.random_range(USUAL_SIZES);
        files.entry(litigation).or_default().push(GeneratedAttachment {
            name: name.replace('#', &(1000 + number).to_string()),
            content_type: (*content_type).to_owned(),
            seed: city.seed.wrapping_mul(1_000_003).wrapping_add(number),
            size: city.attachment_bytes.unwrap_or(usual_size),
        });
    }
    files
}
