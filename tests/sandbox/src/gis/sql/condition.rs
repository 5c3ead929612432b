//! A parsed condition and its truth for a row, in SQL's three values: true, false and unknown.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::literal::{Kind, Literal};

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gis) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Unequal => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

/// A field or a constant.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::gis) enum Operand {
    /// The field of this name, spelled as the layer spells it.
    Field(String, Kind),
    /// A constant.
    Constant(Literal),
}

impl Operand {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Field(_, kind) => *kind,
            Self::Constant(literal) => literal.kind(),
        }
    }

    fn value<'a>(&'a self, row: &'a Map<String, Value>) -> Option<Cow<'a, Literal>> {
        match self {
            Self::Constant(literal) => Some(Cow::Borrowed(literal)),
            Self::Field(name, kind) => {
                let value = row.get(name)?;
                let literal = match kind {
                    Kind::Number => Literal::Number(value.as_f64()?),
                    Kind::Instant => Literal::Instant(value.as_i64()?),
                    Kind::Text => Literal::Text(value.as_str()?.to_owned()),
                    Kind::GlobalId => Literal::GlobalId(value.as_str()?.to_owned()),
                };
                Some(Cow::Owned(literal))
            }
        }
    }
}

/// A condition over the fields of one layer.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::gis) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Comparison, Operand, Operand),
    In(Operand, Vec<Literal>),
    Between(Operand, Operand, Operand),
    Like { operand: Operand, pattern: String, escape: Option<char> },
    IsNull(Operand),
}

impl Condition {
    /// Whether the row is selected: unknown is not enough.
    pub(in crate::gis) fn selects(&self, row: &Map<String, Value>) -> bool {
        self.truth(row) == Some(true)
    }

    fn truth(&self, row: &Map<String, Value>) -> Option<bool> {
        match self {
            Self::And(parts) => all(parts.iter().map(|part| part.truth(row))),
            Self::Or(parts) => {
                all(parts.iter().map(|part| part.truth(row).map(|truth| !truth))).map(|none| !none)
            }
            Self::Not(inner) => inner.truth(row).map(|truth| !truth),
            Self::Compare(comparison, left, right) => compare(*comparison, left, right, row),
            Self::Between(operand, low, high) => all([
                compare(Comparison::AtLeast, operand, low, row),
                compare(Comparison::AtMost, operand, high, row),
            ]
            .into_iter()),
            Self::In(operand, literals) => {
                let value = operand.value(row)?;
                Some(literals.iter().any(|literal| ordering(&value, literal) == Some(Ordering::Equal)))
            }
            Self::Like { operand, pattern, escape } => match operand.value(row)?.as_ref() {
                Literal::Text(text) => {
                    let text: Vec<char> = text.chars().collect();
                    Some(like(&text, &pattern_parts(pattern, *escape)))
                }
                _ => None,
            },
            Self::IsNull(operand) => Some(operand.value(row).is_none()),
        }
    }
}

/// SQL's AND: false beats unknown, unknown beats true.
fn all(truths: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for truth in truths {
        match truth {
            Some(false) => return Some(false),
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

fn compare(
    comparison: Comparison,
    left: &Operand,
    right: &Operand,
    row: &Map<String, Value>,
) -> Option<bool> {
    let (left, right) = (left.value(row)?, right.value(row)?);
    ordering(&left, &right).map(|ordering| comparison.holds(ordering))
}

fn ordering(left: &Literal, right: &Literal) -> Option<Ordering> {
    match (left, right) {
        (Literal::Number(left), Literal::Number(right)) => left.partial_cmp(right),
        (Literal::Instant(left), Literal::Instant(right)) => Some(left.cmp(right)),
        (Literal::Text(left), Literal::Text(right)) | (Literal::GlobalId(left), Literal::GlobalId(right)) => {
            Some(left.cmp(right))
        }
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `%`: any text.
    Any,
    /// `_`: any one character.
    One,
    Exactly(char),
}

fn pattern_parts(pattern: &str, escape: Option<char>) -> Vec<Part> {
    let mut characters = pattern.chars();
    let mut parts = Vec::new();
    while let Some(next) = characters.next() {
        parts.push(match next {
            next if Some(next) == escape => Part::Exactly(characters.next().unwrap_or(next)),
            '%' => Part::Any,
            '_' => Part::One,
            other => Part::Exactly(other),
        });
    }
    parts
}

/// Matches from the left and, where it fails, goes back to the last `%` only, so that it takes quadratic time at most.
fn like(text: &[char], parts: &[Part]) -> bool {
    let (mut at_text, mut at_part) = (0, 0);
    let mut last_any: Option<(usize, usize)> = None;
    while let Some(character) = text.get(at_text) {
        match parts.get(at_part) {
            Some(Part::Any) => {
                last_any = Some((at_text, at_part));
                at_part += 1;
                continue;
            }
            Some(Part::One) => {}
            Some(Part::Exactly(expected)) if expected == character => {}
            _ => {
                let Some((from, part)) = last_any else { return false };
                last_any = Some((from + 1, part));
                (at_text, at_part) = (from + 1, part + 1);
                continue;
            }
        }
        at_text += 1;
        at_part += 1;
    }
    parts.iter().skip(at_part).all(|part| *part == Part::Any)
}
