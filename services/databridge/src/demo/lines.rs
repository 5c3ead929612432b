//! Lines for a terminal of 80 columns.

use std::collections::BTreeMap;

use crate::say::say;

/// How many of a kind are shown before the rest is only counted.
pub(crate) const SHOWN: usize = 5;
/// The width of a terminal that nobody has made wider.
const WIDTH: usize = 80;

/// Which end of a text is shown where it is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Its beginning.
    Beginning,
    /// Its end.
    End,
}

/// A text on one line of so many columns.
pub(crate) fn fitted(text: &str, width: usize, side: Side) -> String {
    let line: Vec<char> = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if line.len() <= width {
        return line.into_iter().collect();
    }
    let kept = width.saturating_sub(1);
    match side {
        Side::Beginning => line.into_iter().take(kept).chain(['…']).collect(),
        Side::End => ['…'].into_iter().chain(line.iter().skip(line.len() - kept).copied()).collect(),
    }
}

/// Says how many more there are than are shown.
pub(crate) fn more(count: usize) -> Option<String> {
    let more = count.checked_sub(SHOWN).filter(|more| *more > 0)?;
    Some(format!("and {} more", indicatif::HumanCount(more as u64)))
}

/// A long text in lines that begin below each other. A word that is longer than a line stays whole.
pub(crate) fn wrapped(text: &str) -> String {
    let mut lines = vec!["  ".to_owned()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        let is_new = line.trim().is_empty();
        if !is_new && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("    {word}"));
        } else {
            line.push_str(if is_new { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join("\n")
}

/// Prints things of a kind, the first of them and the number of the others.
pub(crate) fn list<'a>(what: &str, things: impl ExactSizeIterator<Item = &'a String>) {
    let count = things.len();
    for thing in things.take(SHOWN) {
        say!("{}", wrapped(&format!("{what}: {thing}")));
    }
    if let Some(more) = more(count) {
        say!("  {what}: {more}");
    }
}

/// Things such as `custom field "Location" (5)`, counted by what they are.
pub(crate) fn counted_by_kind(things: &[String]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for thing in things {
        *kinds.entry(thing.split('"').next().unwrap_or(thing).trim()).or_default() += 1;
    }
    let counted = kinds.iter().map(|(kind, count)| match count {
        1 => format!("1 {kind}"),
        _ => format!("{count} {kind}s"),
    });
    counted.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_by_what_they_are() {
        let things = ["group \"A\" (1)", "custom field \"B\" (2)", "custom field \"C\" (3)"];
        assert_eq!(counted_by_kind(&things.map(str::to_owned)), "2 custom fields, 1 group");
    }

    #[test]
    fn a_long_value_is_shown_by_one_end_on_one_line() {
        assert_eq!(fitted("short", 32, Side::End), "short");
        let long = format!("the beginning\n{}\nthe end", "x".repeat(50));
        let end = fitted(&long, 32, Side::End);
        assert!(end.starts_with('…') && end.ends_with("x the end"), "{end}");
        let beginning = fitted(&long, 32, Side::Beginning);
        assert!(beginning.starts_with("the beginning x") && beginning.ends_with('…'), "{beginning}");
        assert_eq!((end.chars().count(), beginning.chars().count()), (32, 32));
    }

    #[test]
    fn the_rest_is_counted() {
        assert_eq!((more(0), more(SHOWN)), (None, None));
        assert_eq!(more(SHOWN + 1200).as_deref(), Some("and 1,200 more"));
    }

    #[test]
    fn a_long_text_goes_on_below_its_beginning() {
        let text = wrapped(&"word ".repeat(40));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH && line.starts_with("  word")
            || line.starts_with("    word")));
        assert_eq!(text.split_whitespace().count(), 40);
        assert_eq!(wrapped("short"), "  short");
        let long = "x".repeat(100);
        assert_eq!(wrapped(&format!("a {long}")), format!("  a\n    {long}"));
    }
}
