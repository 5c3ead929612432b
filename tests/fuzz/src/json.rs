//! Changes of an input that leave it JSON: bytes changed at random hardly ever do.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Value, json};

/// Half of the inputs are changed as JSON, where they are: a head of any lines, and JSON from the first line that
/// begins so.
pub fn mutated(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut chance = Chance(seed | 1);
    let changed = if chance.of(2) == 0 { None } else { changed(&data[..size], &mut chance) };
    match changed {
        Some(bytes) if bytes.len() <= max_size && bytes != data[..size] => {
            data[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
}

fn changed(data: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let begins = |at: &usize| matches!(data[*at], b'{' | b'[') && (*at == 0 || data[at - 1] == b'\n');
    let begin = (0..data.len()).find(begins)?;
    let mut document: Value = serde_json::from_slice(&data[begin..]).ok()?;
    for _ in 0..=chance.of(3) {
        let all = count(&document);
        let other = nth(&mut document, &mut chance.of(all)).map(|it| it.clone()).unwrap_or_default();
        change(nth(&mut document, &mut chance.of(all))?, other, chance);
    }
    Some([&data[..begin], document.to_string().as_bytes()].concat())
}

fn change(node: &mut Value, other: Value, chance: &mut Chance) {
    match (chance.of(8), &mut *node) {
        (0, _) => *node = other,
        (1, _) => *node = json!([node.take()]),
        (2 | 3, Value::Object(members)) if !members.is_empty() => {
            let name = members.keys().nth(chance.of(members.len())).cloned().unwrap_or_default();
            let value = members.remove(&name);
            if chance.of(3) == 0 {
                members.insert(changed_text(&name, chance), value.unwrap_or_default());
            }
        }
        (2, Value::Array(items)) if !items.is_empty() => drop(items.remove(chance.of(items.len()))),
        (3, Value::Array(items)) => items.insert(chance.of(items.len() + 1), other),
        (4 | 5, Value::String(text)) => *text = changed_text(text, chance),
        (4 | 5, Value::Number(number)) => {
            let near = number.as_i64().map(|it| json!(it.wrapping_add(chance.of(5) as i64 - 2)));
            *node = near.unwrap_or_else(|| extreme(chance));
        }
        _ => *node = extreme(chance),
    }
}

fn changed_text(text: &str, chance: &mut Chance) -> String {
    if chance.of(40) == 0 {
        return text.repeat(1 + chance.of(400));
    }
    let mut bytes = text.as_bytes().to_vec();
    let size = bytes.len();
    bytes.resize(size + 32, 0);
    let size = fuzzer_mutate(&mut bytes, size, size + 32);
    String::from_utf8_lossy(&bytes[..size]).into_owned()
}

/// What a server says at the ends of its ranges, or when it is broken.
fn extreme(chance: &mut Chance) -> Value {
    let all = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(i64::from(i32::MIN)),
        json!(1.5),
        json!(1e300),
        json!(-0.0),
        json!(4.94e-324),
        json!(8_210_266_876_799_999_i64),
        json!(-8_334_601_228_800_000_i64),
        json!(1_795_186_800_000_i64),
        json!(""),
        json!(" "),
        json!("NaN"),
        json!("true"),
        json!("17"),
        json!("1e300"),
        json!("2026-11-20"),
        json!("2026-11-20T15:00:00Z"),
        json!("2026-12-31T23:59:60.5-06:00"),
        json!("0000-01-01T00:00:00+23:59"),
        json!("9999-12-31T23:59:59.999-23:59"),
        json!("+262142-12-31T23:59:59Z"),
        json!("-262143-01-01"),
        json!("{0A1B2C3D-0000-4000-8000-00000000ABCD}"),
        json!("ß…\u{2028}\u{0}é"),
        json!([]),
        json!({}),
    ];
    all[chance.of(all.len())].clone()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// The node of this number, counted from the root on.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(members) => members.values_mut().find_map(|member| nth(member, left)),
        _ => None,
    }
}

/// Numbers drawn from the fuzzer's seed.
struct Chance(u32);

impl Chance {
    fn of(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % most.max(1)
    }
}
