//! What the columns of a file become: fields of a type, and the place of a row.

use std::collections::BTreeSet;

use serde_json::Value;

use super::records::Record;
use crate::gis::{Field, FieldType};

/// The shortest text field that publishing makes.
const SHORTEST_TEXT: usize = 255;
/// Names that the layer itself needs.
const TAKEN: [&str; 6] =
    ["objectid", "globalid", "creation_date", "last_modified_date", "created_user", "last_edited_user"];
/// Names of columns that hold degrees north, most telling first.
const LATITUDES: [&str; 3] = ["latitude", "lat", "y"];
/// Names of columns that hold degrees east.
const LONGITUDES: [&str; 5] = ["longitude", "long", "lon", "lng", "x"];

/// A column and the field that it becomes.
pub(super) struct Column {
    pub(super) field: Field,
}

impl Column {
    /// A cell's value as the field holds it.
    pub(super) fn value(&self, cell: &str) -> Value {
        if cell.is_empty() {
            return Value::Null;
        }
        match self.field.field_type {
            FieldType::Integer | FieldType::BigInteger => whole(cell).map_or(Value::Null, Value::from),
            FieldType::Double => decimal(cell).map_or(Value::Null, Value::from),
            _ => Value::from(cell),
        }
    }
}

/// The columns in order, typed by what they hold.
pub(super) fn columns(names: &[String], records: &[Record]) -> Vec<Column> {
    let mut taken: BTreeSet<String> = TAKEN.into_iter().map(str::to_owned).collect();
    let column = |(at, heading): (usize, &String)| {
        let name = free_name(heading, at + 1, &mut taken);
        let cells =
            || records.iter().filter_map(move |record| record.cells.get(at)).filter(|cell| !cell.is_empty());
        let field = if cells().next().is_none() {
            Field::text(&name, SHORTEST_TEXT)
        } else if cells().all(|cell| whole(cell).is_some_and(|number| i32::try_from(number).is_ok())) {
            Field::integer(&name)
        } else if cells().all(|cell| whole(cell).is_some()) {
            Field::big_integer(&name)
        } else if cells().all(|cell| decimal(cell).is_some()) {
            Field::double(&name)
        } else {
            let longest = cells().map(|cell| cell.encode_utf16().count()).max().unwrap_or(0);
            Field::text(&name, longest.max(SHORTEST_TEXT))
        };
        Column { field: field.with_alias(if heading.is_empty() { &name } else { heading }) }
    };
    names.iter().enumerate().map(column).collect()
}

/// A field name of letters, digits and underscores that begins with a letter and that no other field has.
pub(crate) fn free_name(heading: &str, number: usize, taken: &mut BTreeSet<String>) -> String {
    let trimmed = heading.trim();
    let safe: String =
        trimmed.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    let base = match safe.chars().next() {
        None => format!("Field{number}"),
        Some(first) if first.is_ascii_alphabetic() => safe,
        Some(_) => format!("F{safe}"),
    };
    let mut name = base.clone();
    let mut copy = 0;
    while !taken.insert(name.to_ascii_lowercase()) {
        copy += 1;
        name = format!("{base}_{copy}");
    }
    name
}

/// A number that can be written back as it stands: no blanks, no plus, no leading zeros.
fn has_plain_digits(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let mut letters = digits.chars();
    match (letters.next(), letters.next()) {
        (Some('0'), Some(second)) => second == '.',
        (Some(first), _) => first.is_ascii_digit(),
        (None, _) => false,
    }
}

fn whole(cell: &str) -> Option<i64> {
    let number: i64 = cell.parse().ok().filter(|_| has_plain_digits(cell))?;
    (number.unsigned_abs() < 1 << 53).then_some(number)
}

fn decimal(cell: &str) -> Option<f64> {
    let plain =
        has_plain_digits(cell) && cell.chars().all(|letter| letter.is_ascii_digit() || "-.".contains(letter));
    cell.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// Which columns hold a row's place.
pub(super) struct Place {
    latitude: usize,
    longitude: usize,
}

impl Place {
    pub(super) fn of(names: &[String]) -> Option<Self> {
        let position = |wanted: &[&str]| {
            wanted
                .iter()
                .find_map(|wanted| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted)))
        };
        Some(Self { latitude: position(&LATITUDES)?, longitude: position(&LONGITUDES)? })
    }

    /// Longitude and latitude of a row, or why it has no point.
    pub(super) fn of_row(&self, cells: &[String]) -> Result<(f64, f64), String> {
        let cell = |at: usize| cells.get(at).map_or("", |cell| cell.trim());
        let (latitude, longitude) = (cell(self.latitude), cell(self.longitude));
        if latitude.is_empty() && longitude.is_empty() {
            return Err("the row has no coordinates, so it has no point".to_owned());
        }
        let degrees = |text: &str, most: f64| text.parse().ok().filter(|degrees: &f64| degrees.abs() <= most);
        match (degrees(longitude, 180.0), degrees(latitude, 89.99)) {
            (Some(longitude), Some(latitude)) => Ok((longitude, latitude)),
            _ => Err(format!("'{latitude}' and '{longitude}' are no place; the row has no point")),
        }
    }
}
