//! What a push means for a row: what is to be written, and whether it may be.

use std::collections::BTreeMap;

use databridge_bridge::{Effect, Shown};
use databridge_config::Collection;
use databridge_model::{
    Failure, FailureClass, FieldType, Fields, Key, Op, OutcomeResult, PushRequest, Value,
};
use serde_json::Value as Json;

use crate::decode::{Row, global_id, handle, normal_global_id, same_row};
use crate::edits::{Edit, GEOMETRY, Values, Verdict};
use crate::encode::encoded;
use crate::layer::{Column, Identity, Layer, Source};
use crate::layer_page::EsriType;
use crate::query::quoted;
use crate::row_id::row_id;

/// A push as the layer can take it.
#[derive(Clone, Debug)]
pub(crate) struct Change<'a> {
    push: &'a PushRequest,
    doubtful: bool,
    sets: Vec<Set<'a>>,
    /// The GlobalID of a row that is to be made, where it is the key.
    global_id: Option<String>,
    /// Fields that the layer cannot take, each with the reason.
    parked: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Set<'a> {
    column: &'a Column,
    value: Value,
    encoded: Json,
}

/// What to do with a change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Judgement {
    /// Nothing is to be written.
    Settled(Effect),
    /// This is, and then the record shows that.
    Write(Edit, Shown),
}

impl<'a> Change<'a> {
    /// Brings the values into the layer's forms. What it cannot take joins `parked`, and so do those already in it.
    pub(crate) fn new(
        layer: &'a Layer,
        declared: &Collection,
        push: &'a PushRequest,
        doubtful: bool,
        parked: &BTreeMap<String, String>,
    ) -> Self {
        let mut change = Self { push, doubtful, sets: Vec::new(), global_id: None, parked: parked.clone() };
        for (name, value) in &push.set {
            if parked.contains_key(name) {
                continue;
            }
            if push.op == Op::Create && *name == layer.key && layer.identity != Identity::Key {
                // Not a value of the row like others: it goes beside them, or the layer chooses another.
                change.global_id = global_id(&value.to_plain());
                continue;
            }
            match set(layer, declared, name, value) {
                Ok(set) => change.sets.push(set),
                Err(reason) => drop(change.parked.insert(name.clone(), reason)),
            }
        }
        change
    }

    /// What is to be done, given the row as it is now: the one addressed, or the one that has the key already.
    pub(crate) fn judged(&self, layer: &Layer, row: Option<&Row>) -> Judgement {
        match self.push.op {
            Op::Create => self.judged_create(layer, row),
            Op::Update | Op::Delete => {
                let addressed = self.push.target.as_ref().map(|target| &target.handle);
                let same = |row: &&Row| addressed.is_none_or(|address| same_row(address, &row.shown.handle));
                match row.filter(same) {
                    None => Judgement::Settled(self.settled(OutcomeResult::Gone, None, None)),
                    Some(row) if self.push.op == Op::Delete => self.judged_delete(layer, row),
                    Some(row) => self.judged_update(layer, row),
                }
            }
        }
    }

    fn judged_create(&self, layer: &Layer, existing: Option<&Row>) -> Judgement {
        if let Some(row) = existing {
            return Judgement::Settled(self.settled(OutcomeResult::Exists, Some(row.shown.clone()), None));
        }
        let given = || self.sets.iter().filter(|set| !set.value.is_null());
        let mut shown = Shown {
            key: key_of(self.push, layer),
            fields: given().map(|set| (set.column.name.clone(), set.value.clone())).collect(),
            ..Shown::default()
        };
        let edit = match (&layer.identity, &shown.key, &self.global_id) {
            (Identity::Key, Some(_), _) if !self.parked.contains_key(&layer.key) => {
                Edit::Add(values(given()))
            }
            (Identity::OurGlobalId, Some(_), Some(ours)) => {
                shown.fields.insert(layer.key.clone(), Value::text(ours));
                Edit::AddOurs(ours.clone(), values(given()))
            }
            (Identity::Fields(names), ..) if self.condition_for(names).is_some() => {
                Edit::Add(values(given()))
            }
            (identity, ..) => {
                return Judgement::Settled(self.refused(Failure {
                    class: FailureClass::Invalid,
                    message: self.without_identity(layer, identity),
                    field: Some(layer.key.clone()),
                }));
            }
        };
        Judgement::Write(edit, shown)
    }

    /// Why no row can be made: it could not be found again.
    fn without_identity(&self, layer: &Layer, identity: &Identity) -> String {
        let key = &layer.key;
        match identity {
            Identity::Key => {
                let why = self.parked.get(key).map_or("no value is given", String::as_str);
                format!("a new row needs its key field `{key}`: {why}")
            }
            Identity::OurGlobalId => format!("a new row needs a `{key}` of its own: a uuid"),
            Identity::Fields(_) => format!(
                "layer {} takes no `{key}` of ours, so a row that was made could not be found again; name fields that tell it from the others, at least one of them with a text or a whole number here, as `lookup` under [bridge.layers] of the system file",
                layer.number
            ),
        }
    }

    /// Whether a row shows what a create wants in these fields; after a doubt, as the layer may have normalised it.
    pub(crate) fn may_have_made(&self, row: &Row, names: &[String]) -> bool {
        names.iter().all(|name| {
            let shown = row.shown.fields.get(name).unwrap_or(&Value::Null);
            match self.sets.iter().find(|set| set.column.name == *name) {
                Some(set) => *shown == set.value || set.column.kind.may_normalise(&set.value, shown),
                None => shown.is_null(),
            }
        })
    }

    /// The condition that a row with the wanted values in these fields meets. Dates are left to the comparing: how a
    /// layer reads their literals differs. `None` where nothing is left.
    pub(crate) fn condition_for(&self, names: &[String]) -> Option<String> {
        let equal = |name: &String| {
            let set = self.sets.iter().find(|set| set.column.name == *name)?;
            let Source::Attribute(field) = &set.column.source else { return None };
            match (&set.encoded, field.kind) {
                (Json::String(text), EsriType::Text) => Some(format!("{} = {}", field.name, quoted(text))),
                (Json::Number(number), EsriType::SmallInteger | EsriType::Integer | EsriType::BigInteger) => {
                    Some(format!("{} = {number}", field.name))
                }
                _ => None,
            }
        };
        let conditions: Vec<String> = names.iter().filter_map(equal).collect();
        (!conditions.is_empty()).then(|| conditions.join(" AND "))
    }

    fn judged_delete(&self, layer: &Layer, row: &Row) -> Judgement {
        let moved = self.push.expect.iter().any(|(name, expected)| {
            let expected = layer
                .column(name)
                .map_or_else(|| expected.clone(), |column| canonical(&column.kind, expected));
            row.shown.fields.get(name) != Some(&expected)
        });
        if moved {
            return Judgement::Settled(self.settled(OutcomeResult::Stale, Some(row.shown.clone()), None));
        }
        let shown = Shown { deleted: true, revision: None, fields: Fields::new(), ..row.shown.clone() };
        Judgement::Write(Edit::Delete(row.object_id), shown)
    }

    fn judged_update(&self, layer: &Layer, row: &Row) -> Judgement {
        let now = |set: &Set<'_>| row.shown.fields.get(&set.column.name);
        let is_there = |set: &Set<'_>| {
            now(set).is_some_and(|shown| {
                // What an earlier attempt wrote may show as the layer has normalised it.
                *shown == set.value || (self.doubtful && set.column.kind.may_normalise(&set.value, shown))
            })
        };
        let changed: Vec<&Set<'_>> = self.sets.iter().filter(|set| !is_there(set)).collect();
        if changed.is_empty() {
            return Judgement::Settled(self.settled(OutcomeResult::Unchanged, Some(row.shown.clone()), None));
        }
        let moved = |set: &&Set<'_>| {
            self.push
                .expect
                .get(&set.column.name)
                .is_some_and(|expected| now(set) != Some(&canonical(&set.column.kind, expected)))
        };
        if changed.iter().any(moved) {
            return Judgement::Settled(self.settled(OutcomeResult::Stale, Some(row.shown.clone()), None));
        }
        // When it was edited is not told, so the record has no revision until it is read again.
        let mut shown = Shown { revision: None, ..row.shown.clone() };
        for set in &self.sets {
            shown.fields.insert(set.column.name.clone(), set.value.clone());
        }
        shown.key = shown.fields.get(&layer.key).and_then(|value| Key::parse(&value.to_plain()));
        Judgement::Write(Edit::Update(row.object_id, values(changed.into_iter())), shown)
    }

    /// The effect of a verdict, or how the change is to be tried again. `shown` is what the row shows once it is done.
    pub(crate) fn outcome(&self, layer: &Layer, verdict: Verdict, shown: Shown) -> Result<Effect, Again> {
        let global_id_key = (layer.identity != Identity::Key).then_some(layer.key.as_str());
        match verdict {
            Verdict::Done { object_id, global_id } => {
                let mut shown = shown;
                if self.push.op == Op::Create {
                    shown.id = row_id(object_id, global_id.as_deref());
                    if let (Some(key), Some(told)) = (global_id_key, global_id.as_deref()) {
                        let told = normal_global_id(told);
                        shown.key = Key::parse(&told);
                        shown.fields.insert(key.to_owned(), Value::text(told));
                    }
                    shown.handle = handle(object_id, global_id.as_deref(), shown.key.as_ref());
                }
                Ok(self.settled(OutcomeResult::Written, Some(shown), None))
            }
            Verdict::Gone => Ok(self.settled(OutcomeResult::Gone, None, None)),
            Verdict::There if self.doubtful => Ok(self.refused(Failure {
                class: FailureClass::Invalid,
                message: "the layer has a row with one of these values, which may be there once only, and none with this GlobalID".to_owned(),
                field: None,
            })),
            Verdict::There => Err(Again::LookedUp),
            Verdict::RolledBack => Err(Again::Smaller),
            Verdict::Failed(failure) => Ok(Effect::Failed(failure)),
            Verdict::Refused(failure) => {
                let field = failure.field.as_deref().and_then(|sent| self.declared_name(sent));
                match field {
                    Some(field) if self.sets.len() > 1 => Err(Again::Without(field, failure.message)),
                    field => Ok(self.refused(Failure { field, ..failure })),
                }
            }
        }
    }

    fn declared_name(&self, sent: &str) -> Option<String> {
        let of = |set: &&Set<'_>| match &set.column.source {
            Source::Attribute(field) => field.name == sent,
            Source::Geometry { .. } => sent == GEOMETRY,
        };
        self.sets.iter().find(of).map(|set| set.column.name.clone())
    }

    fn refused(&self, failure: Failure) -> Effect {
        self.settled(OutcomeResult::Refused, None, Some(failure))
    }

    fn settled(&self, result: OutcomeResult, shown: Option<Shown>, error: Option<Failure>) -> Effect {
        Effect::Settled { result, shown, parked: self.parked.clone(), error, calls: 0 }
    }
}

/// Why a change is to be tried again, other than it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// With fewer others.
    Smaller,
    /// After a look whether it is there.
    LookedUp,
    /// Without this field, for this reason.
    Without(String, String),
}

/// The key that a create gives its row.
pub(crate) fn key_of(push: &PushRequest, layer: &Layer) -> Option<Key> {
    let plain = push.set.get(&layer.key)?.to_plain();
    match layer.identity {
        Identity::Key => Key::parse(&plain),
        Identity::OurGlobalId => Key::parse(&global_id(&plain)?),
        Identity::Fields(_) => None,
    }
}

fn set<'a>(layer: &'a Layer, declared: &Collection, name: &str, value: &Value) -> Result<Set<'a>, String> {
    let declaration = declared.field(name).ok_or_else(|| {
        format!("`{name}` is not declared in the system file, so its type is not known; declare it there")
    })?;
    let value = declaration.kind.canonical(value.clone()).map_err(|error| error.to_string())?;
    let lacking = || layer.lacking.iter().find(|(field, _)| field == name).map(|(_, reason)| reason.clone());
    let column = layer
        .column(name)
        .ok_or_else(|| lacking().unwrap_or_else(|| format!("the layer has no `{name}`")))?;
    let encoded = encoded(column, &value)?;
    Ok(Set { column, value, encoded })
}

fn canonical(kind: &FieldType, value: &Value) -> Value {
    kind.canonical(value.clone()).unwrap_or_else(|_| value.clone())
}

fn values<'s, 'a: 's>(sets: impl Iterator<Item = &'s Set<'a>>) -> Values {
    let mut values = Values::default();
    for set in sets {
        match &set.column.source {
            Source::Attribute(field) => {
                values.attributes.insert(field.name.clone(), set.encoded.clone());
            }
            Source::Geometry { .. } => values.geometry = Some(set.encoded.clone()),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Feature;
    use crate::layer::tests::layer;
    use serde_json::json;

    fn declared() -> Collection {
        toml::from_str(
            "key = 'Warrant'\n[fields]\nWarrant = 'text'\nStatus = 'text'\nRooms = 'int'\nArea = 'decimal'\nHeard = 'instant'\nDue = 'date'\nshape = 'point'",
        )
        .unwrap()
    }

    fn row(layer: &Layer) -> Row {
        let attributes =
            json!({"OBJECTID": 7, "GlobalID": "{AB}", "WARRANT": "E-1", "Status": "H", "Rooms": 3});
        Feature { attributes: attributes.as_object().unwrap().clone(), geometry: Json::Null }
            .read(layer)
            .unwrap()
    }

    fn judged(push: &Json, doubtful: bool) -> Judgement {
        let push: PushRequest = serde_json::from_value(push.clone()).unwrap();
        let layer = layer(|_| {});
        Change::new(&layer, &declared(), &push, doubtful, &BTreeMap::new()).judged(&layer, Some(&row(&layer)))
    }

    fn result(push: &Json) -> OutcomeResult {
        match judged(push, false) {
            Judgement::Settled(Effect::Settled { result, .. }) => result,
            other => panic!("{other:?}"),
        }
    }

    fn update(set: &Json, expect: &Json) -> Json {
        json!({"op": "update", "target": {"id": "7", "handle": {"object_id": 7, "global_id": "ab"}}, "set": set, "expect": expect})
    }

    #[test]
    fn what_the_row_shows_already_is_not_written() {
        assert_eq!(
            result(&update(&json!({"Status": "Hearing"}), &json!({"Status": "Stay"}))),
            OutcomeResult::Unchanged
        );
    }

    #[test]
    fn a_row_that_a_person_changed_meanwhile_is_stale_and_shown() {
        let push = update(&json!({"Status": "Stay", "Rooms": 4}), &json!({"Status": "Hearing", "Rooms": 2}));
        let Judgement::Settled(Effect::Settled { result, shown, .. }) = judged(&push, false) else {
            panic!()
        };
        assert_eq!(result, OutcomeResult::Stale);
        assert_eq!(shown.unwrap().fields.get("Rooms"), Some(&Value::Int(3)));
    }

    #[test]
    fn a_row_of_another_global_id_is_not_the_one_that_was_meant() {
        let mut push = update(&json!({"Status": "Stay"}), &json!({"Status": "Hearing"}));
        push["target"]["handle"]["global_id"] = json!("cd");
        assert_eq!(result(&push), OutcomeResult::Gone);
    }

    #[test]
    fn just_what_differs_is_sent_and_the_record_shows_all_that_was_set() {
        let push = update(&json!({"Status": "Stay", "Rooms": 3, "Heard": 5}), &json!({"Status": "Hearing"}));
        let Judgement::Write(Edit::Update(7, values), shown) = judged(&push, false) else { panic!() };
        assert_eq!(Json::Object(values.attributes), json!({"Status": "S"}));
        assert_eq!(shown.fields.get("Status"), Some(&Value::Text("Stay".into())));
        assert_eq!(shown.revision, None);
    }

    #[test]
    fn when_every_field_is_parked_nothing_is_written() {
        let push = update(&json!({"Status": "Appeal", "Nothing": 1, "Rooms": "x"}), &json!({}));
        let Judgement::Settled(Effect::Settled { result, parked, .. }) = judged(&push, false) else {
            panic!()
        };
        assert_eq!(result, OutcomeResult::Unchanged);
        assert_eq!(parked.len(), 3, "{parked:?}");
    }

    #[test]
    fn a_create_without_its_key_is_refused_and_one_that_found_its_key_exists() {
        let layer = layer(|_| {});
        let judged = |set: Json, row: Option<&Row>| {
            let push: PushRequest = serde_json::from_value(json!({"op": "create", "set": set})).unwrap();
            Change::new(&layer, &declared(), &push, false, &BTreeMap::new()).judged(&layer, row)
        };
        let refused = judged(json!({"Rooms": 1}), None);
        assert!(matches!(
            refused,
            Judgement::Settled(Effect::Settled { result: OutcomeResult::Refused, .. })
        ));
        let too_long = judged(json!({"Warrant": "E-2345678901"}), None);
        assert!(matches!(
            too_long,
            Judgement::Settled(Effect::Settled { result: OutcomeResult::Refused, .. })
        ));
        let exists = judged(json!({"Warrant": "E-1"}), Some(&row(&layer)));
        assert!(matches!(exists, Judgement::Settled(Effect::Settled { result: OutcomeResult::Exists, .. })));
        assert!(matches!(judged(json!({"Warrant": "E-2"}), None), Judgement::Write(Edit::Add(_), _)));
    }

    #[test]
    fn after_a_doubt_a_value_that_the_layer_trimmed_counts_as_written() {
        let push = update(&json!({"Warrant": "E-1 "}), &json!({"Warrant": "E-0"}));
        let Judgement::Settled(Effect::Settled { result, .. }) = judged(&push, true) else { panic!() };
        assert_eq!(result, OutcomeResult::Unchanged);
    }
}
