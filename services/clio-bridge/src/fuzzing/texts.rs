//! Rich text, the marks in subject lines, and the times of entries.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use databridge_model::{FieldType, PushId, Value};

use crate::calendar_entries::times::{OfficeHours, Times};
use crate::lister::updated_since;
use crate::mark::{bears_mark, property_value, with_mark, without_mark};
use crate::notes::rich_text::plain;

/// A zone, a moment as Clio shows it, a subject line and a rich text, which is the rest.
pub fn clio_texts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (zone, moment, subject, rich) = (line(), line(), line(), line());
    times(zone.parse().unwrap_or(Tz::UTC), moment);
    marks(subject, moment);
    rich_text(rich);
}

fn times(zone: Tz, moment: &str) {
    let hours = OfficeHours { zone, length: TimeDelta::minutes(30) };
    if let Ok(since) = moment.parse::<DateTime<Utc>>() {
        assert!(!updated_since(since).is_empty());
    }
    // A day in a year past 9999 is no value of ours, and so is asked for of no entry.
    let is_a_day = |at: &DateTime<Utc>| FieldType::Instant.canonical(Value::instant(*at)).is_ok();
    let Some(begins) = hours.day_begins(moment).filter(is_a_day) else { return };
    let told = hours.told(begins);
    let again = DateTime::parse_from_rfc3339(&told).map(|at| at.timestamp());
    assert!(again.is_ok_and(|at| at == begins.timestamp()), "{told} is not {begins}");
    let new = hours.new_entry(begins);
    assert!(new.end > new.start);
    for before in
        [new, Times { all_day: !new.all_day, ..new }, Times { start: new.end, end: new.start, ..new }]
    {
        let moved = hours.moved(before, begins);
        assert!(moved.start == begins && moved.end - begins > TimeDelta::days(-3), "{before:?} {moved:?}");
    }
}

fn marks(subject: &str, link: &str) {
    let push = PushId { link: link.to_owned(), counter: 3 };
    assert!(property_value(&push).len() <= 80);
    let other = PushId { counter: 4, ..push.clone() };
    for most in [None, Some(255), Some(0)] {
        let marked = with_mark(Some(subject), &push, most);
        assert!(bears_mark(&marked, &push) && !bears_mark(&marked, &other), "{marked}");
        assert!(most.is_none_or(|most| marked.chars().count() <= most.max(120)), "{marked}");
    }
    let shown = without_mark(subject);
    assert!(subject.starts_with(shown));
    assert_eq!(without_mark(&with_mark(Some(subject), &push, None)), subject.trim(), "{subject}");
}

fn rich_text(rich: &str) {
    let text = plain(rich);
    assert_eq!(text, text.trim());
    assert!(!text.contains(['\u{a0}', '\r']), "{text}");
    // A tag adds at most the dash of an item.
    assert!(text.len() <= rich.len() + 2, "{} bytes of {}", text.len(), rich.len());
    if !rich.contains('&') && are_all_tags(rich) {
        assert!(!text.contains('<'), "a tag is left in {text}");
    }
}

/// Whether each `<` of a text begins a tag that ends before the next one.
fn are_all_tags(rich: &str) -> bool {
    rich.split('<')
        .skip(1)
        .all(|tag| tag.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && tag.contains('>'))
}
