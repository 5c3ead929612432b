//! Constants of a condition: how instants, intervals and global ids are written.

use chrono::{NaiveDate, NaiveDateTime};

use super::SqlError;
use crate::gis::global_id;

/// What kind of thing an operand is; only like can be compared with like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gis) enum Kind {
    Number,
    Text,
    Instant,
    GlobalId,
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::gis) enum Literal {
    Number(f64),
    Text(String),
    /// Milliseconds since 1970 in UTC.
    Instant(i64),
    GlobalId(String),
}

impl Literal {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Number(_) => Kind::Number,
            Self::Text(_) => Kind::Text,
            Self::Instant(_) => Kind::Instant,
            Self::GlobalId(_) => Kind::GlobalId,
        }
    }

    /// The constant as it is compared with something of this kind. A text stands for a global id, for nothing else.
    pub(super) fn into_kind(self, kind: Kind) -> Result<Self, SqlError> {
        match (self, kind) {
            (Self::Text(text), Kind::GlobalId) => {
                let id = global_id::normalized(&text);
                id.map(Self::GlobalId).ok_or_else(|| SqlError::invalid("the text is no global id"))
            }
            (literal, kind) if literal.kind() == kind => Ok(literal),
            _ => Err(SqlError::invalid("the types of a comparison do not agree")),
        }
    }
}

/// The instant of `TIMESTAMP '…'`, read in UTC. Parts of a second need fields of high precision.
pub(super) fn timestamp(text: &str, high_precision: bool) -> Result<Literal, SqlError> {
    let format = if high_precision { "%Y-%m-%d %H:%M:%S%.f" } else { "%Y-%m-%d %H:%M:%S" };
    NaiveDateTime::parse_from_str(text, format)
        .map(|time| Literal::Instant(time.and_utc().timestamp_millis()))
        .map_err(|_| SqlError::invalid("TIMESTAMP must be written 'YYYY-MM-DD HH:MM:SS'"))
}

/// The instant of `DATE '…'`: the day's beginning in UTC.
pub(super) fn date(text: &str) -> Result<Literal, SqlError> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .map(|time| Literal::Instant(time.and_utc().timestamp_millis()))
        .ok_or_else(|| SqlError::invalid("DATE must be written 'YYYY-MM-DD'"))
}

/// The milliseconds of an interval `'D' DAY` or `'D HH:MM:SS' DAY TO SECOND`.
pub(super) fn interval(text: &str, to_second: bool) -> Result<i64, SqlError> {
    let (days, seconds) = if to_second {
        let (days, clock) = text.split_once(' ').unwrap_or(("", ""));
        let mut parts = clock.split(':').map(str::parse::<i64>);
        let (Some(Ok(hours)), Some(Ok(minutes)), Some(Ok(seconds)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SqlError::invalid("INTERVAL … DAY TO SECOND must be written 'D HH:MM:SS'"));
        };
        (days, (hours * 60 + minutes) * 60 + seconds)
    } else {
        (text, 0)
    };
    let days: i64 = days.parse().map_err(|_| SqlError::invalid("INTERVAL needs a whole number of days"))?;
    days.checked_mul(86_400)
        .and_then(|of_days| of_days.checked_add(seconds))
        .and_then(|seconds| seconds.checked_mul(1000))
        .ok_or_else(|| SqlError::invalid("INTERVAL is too long"))
}
