//! What the migrate brought to Clio, by kinds.

use std::collections::BTreeMap;

use indicatif::HumanCount;

use super::compare::court_dates::{begins, told};
use super::compare::{Case, Comparer, custom_field, notes};
use super::lines::{Side, fitted};
use super::picture::Picture;
use crate::say::say;

/// So many of each kind are shown.
const SAMPLES: usize = 3;
/// Columns of what is shown of one.
const WIDTH: usize = 60;

/// What there is of a kind: the key of a litigation, and a word of it.
struct Kind {
    things: (&'static str, &'static str),
    found: Vec<(String, String)>,
}

/// Prints how much of each kind is in Clio, and some of it. Gives the counts.
pub(crate) fn print(comparer: &Comparer, picture: &Picture) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for kind in kinds(comparer, picture) {
        let (one, several) = kind.things;
        let count = kind.found.len();
        counts.insert(several, count);
        if count == 0 {
            continue;
        }
        say!("  {} {}", HumanCount(count as u64), if count == 1 { one } else { several });
        let width = kind.found.iter().take(SAMPLES).map(|(key, _)| key.chars().count()).max().unwrap_or(0);
        for (key, word) in kind.found.iter().take(SAMPLES) {
            say!("    {key:width$}  {}", fitted(word, WIDTH, Side::Beginning));
        }
        if count > SAMPLES {
            say!("    and {} more", HumanCount((count - SAMPLES) as u64));
        }
    }
    counts
}

fn kinds(comparer: &Comparer, picture: &Picture) -> Vec<Kind> {
    let cases = comparer.cases(picture);
    let matters = cases.iter().map(|case| (case.key.clone(), case.matter.description.clone()));
    let mut kinds = vec![Kind { things: ("matter", "matters"), found: matters.collect() }];
    if comparer.notes.is_some() {
        let by_matter = notes::by_matter(picture);
        let of = |case: &Case<'_>| by_matter.get(&case.matter.id).cloned().unwrap_or_default();
        let found = below(&cases, |case| of(case).into_iter().map(notes::text).collect());
        kinds.push(Kind { things: ("note", "notes"), found });
    }
    if let Some(dates) = &comparer.court_dates {
        let entries: Vec<_> = dates.entries(picture).collect();
        let of = |case: &Case<'_>| {
            let of_matter = entries.iter().filter(|entry| entry.matter == Some(case.matter.id));
            of_matter.map(|entry| told(begins(entry, comparer.zone), comparer.zone)).collect()
        };
        kinds.push(Kind { things: ("court date", "court dates"), found: below(&cases, of) });
    }
    if let Some(documents) = &comparer.documents {
        let by_attachment = documents.by_attachment(picture);
        let of = |case: &Case<'_>| {
            let all =
                by_attachment.range((case.matter.id, String::new())..(case.matter.id + 1, String::new()));
            let word = |size: Option<u64>| format!("{} bytes", HumanCount(size.unwrap_or_default()));
            let told = all.flat_map(|(_, all)| all).filter_map(|document| {
                Some(format!("{}, {}", document.name, word(document.current()?.size)))
            });
            told.collect()
        };
        kinds.push(Kind { things: ("document", "documents"), found: below(&cases, of) });
    }
    if let Some((_, custom)) = comparer.history.as_ref().and_then(|history| history.told.first()) {
        let of = |case: &Case<'_>| {
            let told = custom_field(case.matter, custom);
            Some(told).filter(|told| !told.is_empty()).into_iter().collect()
        };
        kinds.push(Kind { things: ("dismissal", "dismissals"), found: below(&cases, of) });
    }
    kinds
}

/// What belongs to each litigation, one after the other.
fn below(cases: &[Case<'_>], of: impl Fn(&Case<'_>) -> Vec<String>) -> Vec<(String, String)> {
    let all = cases.iter().flat_map(|case| of(case).into_iter().map(|word| (case.key.clone(), word)));
    all.collect()
}
