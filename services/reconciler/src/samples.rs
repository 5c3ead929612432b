//! A route and a link for the tests of this crate.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use databridge_config::{ConfigFolder, Side};
use databridge_model::{
    Fields, Key, Op, Outcome, OutcomeResult, PullResult, PushId, PushRequest, ReadAfter, Target, Value,
};

use crate::decide::{Decision, Wanted, decide};
use crate::link::{Link, Outstanding};
use crate::plan::RoutePlan;

const MAP: &str = r#"
system = "map"
[collections.cases]
key = "warrant"
[collections.cases.fields]
warrant = "text"
number = "int"
owner = "text"
status = "text"
note = "text"
summary = "text"
extract = "text"
answer = "text"
place = "point"
"#;

const OFFICE: &str = r#"
system = "office"
[collections.matters]
key = "Warrant"
[collections.matters.fields]
Warrant = "text"
Number = "text"
Owner = "text"
Status = "text"
Note = "text"
Summary = { type = "text", max_length = 8 }
Extract = { type = "text", max_length = 8 }
Answer = "text"
Longitude = "text"
Latitude = "text"
title = "text"
"#;

const ROUTE: &str = r#"
route = "case_matter"
kind = "mirror"
left = { collection = "map.cases", key = "warrant" }
right = { collection = "office.matters", key = "Warrant", create = true }
fields = [
  { left = "warrant", right = "Warrant", direction = "to_right" },
  { left = "number", right = "Number", direction = "to_right" },
  { left = "owner", right = "Owner" },
  { left = "status", right = "Status", wins = "right" },
  { left = "note", right = "Note", empty = "clears" },
  { left = "summary", right = "Summary" },
  { left = "extract", right = "Extract", too_long = "truncate" },
  { left = "answer", right = "Answer", direction = "to_left" },
  { left = "place", right = "Longitude", direction = "to_right", convert = "longitude" },
  { left = "place", right = "Latitude", direction = "to_right", convert = "latitude" },
]
create = [{ side = "right", field = "title", from = "owner", otherwise = "Case {key}" }]
"#;

/// A route with one field for each rule.
pub(crate) fn plan() -> RoutePlan {
    plan_of(&[MAP, OFFICE], &[ROUTE], "case_matter")
}

/// The plan of the route of this name, of a config of these files.
pub(crate) fn plan_of(systems: &[&str], routes: &[&str], name: &str) -> RoutePlan {
    let systems = systems.iter().map(|text| {
        let system: databridge_config::SystemFile = toml::from_str(text).unwrap();
        (system.system.clone(), system)
    });
    let routes = routes.iter().map(|text| {
        let route: databridge_config::Route = toml::from_str(text).unwrap();
        (route.route.clone(), route)
    });
    let config = ConfigFolder {
        path: PathBuf::new(),
        systems: systems.collect(),
        routes: routes.collect(),
        schedules: BTreeMap::new(),
    };
    RoutePlan::all(&config).into_iter().find(|plan| plan.name().as_str() == name).unwrap()
}

/// Fields from names and texts; an empty text is null.
pub(crate) fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), Value::text(*text))).collect()
}

/// A link of which nothing is known yet.
pub(crate) fn new_link() -> Link {
    Link::new("case_matter".parse().unwrap(), Key::parse("E-1").unwrap())
}

/// A link both of whose sides are there and show these values for the first time.
pub(crate) fn met(left: &[(&str, &str)], right: &[(&str, &str)]) -> Link {
    let mut link = new_link();
    for (side, pairs) in [(Side::Left, left), (Side::Right, right)] {
        link.side_mut(side).id = Some("1".to_owned());
        show(&mut link, side, pairs);
    }
    link
}

/// A link whose sides agreed on these values.
pub(crate) fn agreed(left: &[(&str, &str)], right: &[(&str, &str)]) -> Link {
    let mut link = met(left, right);
    for side in Side::BOTH {
        let names: Vec<_> = link.side(side).drift.keys().cloned().collect();
        for name in names {
            link.side_mut(side).settle(&name);
        }
    }
    link
}

/// Now the side shows this.
pub(crate) fn show(link: &mut Link, side: Side, pairs: &[(&str, &str)]) {
    for (name, value) in fields(pairs) {
        link.side_mut(side).show(&name, value);
    }
}

/// Any moment.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// Decides the sample link.
pub(crate) fn decided(link: &mut Link) -> Decision {
    decide(&plan(), link, "case_matter.E-1", now())
}

/// Decides, which must come to one push.
pub(crate) fn only_push(link: &mut Link) -> Wanted {
    let mut decision = decided(link);
    assert_eq!(decision.pushes.len(), 1, "{:?}", decision.pushes);
    decision.pushes.remove(0)
}

/// Makes a push the one under way, as the engine does.
pub(crate) fn send(link: &mut Link, wanted: &Wanted) -> PushId {
    link.counter += 1;
    let id = PushId { link: "case_matter.E-1".to_owned(), counter: link.counter };
    let state = link.side_mut(wanted.side);
    let target = state.id.clone().map(|id| Target { id, handle: state.handle.clone() });
    state.outstanding = Some(Outstanding {
        push: PushRequest {
            push: Some(id.clone()),
            op: wanted.op,
            target: target.filter(|_| wanted.op != Op::Create),
            set: wanted.set.clone(),
            expect: wanted.expect.clone(),
            parent: None,
            source: None,
            absent_in: None,
            run: None,
            why: String::new(),
        },
        bulk: false,
        from: wanted.from.clone(),
        conflicts: wanted.conflicts.clone(),
        purpose: wanted.purpose,
    });
    id
}

/// An outcome that shows these values.
pub(crate) fn outcome(push: &PushId, result: OutcomeResult, shown: &[(&str, &str)]) -> Outcome {
    Outcome {
        push: push.clone(),
        result,
        id: Some("1".to_owned()),
        revision: None,
        handle: serde_json::Value::Null,
        shown: fields(shown),
        parked: BTreeMap::new(),
        error: None,
        calls: 1,
    }
}

/// How far the outcomes had come.
pub(crate) fn after(sequence: u64) -> ReadAfter {
    ReadAfter { sequence, stream_created: now() }
}

/// A read of record 1 that was begun after so many outcomes.
pub(crate) fn read(side: Side, outcomes: u64, pairs: &[(&str, &str)]) -> PullResult {
    let plan = plan();
    PullResult {
        system: plan.system(side).clone(),
        collection: plan.collection_name(side).clone(),
        id: "1".to_owned(),
        key: Key::parse("E-1"),
        parent: None,
        revision: None,
        deleted: false,
        fields: fields(pairs),
        made_by: None,
        handle: serde_json::Value::Null,
        run: None,
        read_after: after(outcomes),
    }
}

/// Decides a link of this plan, which must come to one push.
pub(crate) fn only_push_of(plan: &RoutePlan, link: &mut Link) -> Wanted {
    let mut decision = decide(plan, link, "case_matter.E-1", now());
    assert_eq!(decision.pushes.len(), 1, "{:?}", decision.pushes);
    decision.pushes.remove(0)
}
