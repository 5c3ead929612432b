//! What goes wrong in both systems.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use sandbox::calls::System;
use sandbox::faults::{Action, Fault};

/// A fault that any client must live with, for a few requests.
///
/// A create that a gateway repeats is none of them: nobody can keep Clio from making two records of it.
pub(crate) fn any(random: &mut StdRng) -> Fault {
    let systems = [System::Clio, System::Clio, System::Gis, System::Gis, System::Storage];
    let system = *systems.choose(random).unwrap_or(&System::Clio);
    let fault = if random.random_bool(0.25) { lie(system, random) } else { failure(system, random) };
    fault.skip(random.random_range(0..4)).times(random.random_range(1..4))
}

/// A request is not done, or nobody hears of it.
fn failure(system: System, random: &mut StdRng) -> Fault {
    let mut actions = vec![
        status(500),
        status(502),
        status(503),
        Action::Html,
        Action::Truncate,
        Action::Drop,
        Action::DropAfter,
        Action::AppliedThen504,
        Action::Delay { ms: random.random_range(50..1_500) },
    ];
    match system {
        System::Clio => actions.push(Action::RateLimited { retry_after: random.random_range(1..4) }),
        System::Gis => {
            let message = "Invalid token.".to_owned();
            actions.push(Action::Error200 { code: 498, message: message.clone(), details: Vec::new() });
            actions.push(Action::ErrorMidway { code: 500, message });
        }
        System::Storage => {}
    }
    let action = actions.choose(random).cloned().unwrap_or(Action::Drop);
    let fault = Fault::new(system, action);
    match (system, random.random_range(0..4)) {
        (System::Clio, 0) => fault.method("POST"),
        (System::Clio, 1) => fault.method("PATCH"),
        (System::Gis, 0) => fault.path("applyEdits"),
        _ => fault,
    }
}

/// A request is answered well, and the answer is not true.
fn lie(system: System, random: &mut StdRng) -> Fault {
    let lists = ["/matters.json", "/notes.json", "/calendar_entries.json", "/documents.json"];
    let list = lists.choose(random).copied().unwrap_or_default();
    // Who asks for a property of this name asks for its value, too; one without the other is refused, and no lie.
    let filters: [&[_]; 6] = [
        &["ids[]"],
        &["updated_since"],
        &["group_id"],
        &["matter_id"],
        &["query"],
        &["external_property_name", "external_property_value"],
    ];
    let filter = filters.choose(random).copied().unwrap_or_default();
    // Not of a look-up by key: a cache's empty answer to that looks as the true one does, to any client.
    let parts = ["page_token=", "updated_since=", "ids%5B"];
    let part = parts.choose(random).copied().unwrap_or_default();
    let of_clio = |action| Fault::new(System::Clio, action).method("GET");
    match (system, random.random_range(0..4)) {
        (System::Clio, 0) => Fault::new(System::Clio, Action::ApplyTwice).method("PATCH"),
        (System::Clio, 1) => of_clio(Action::NextLeadsBack).path(list),
        (System::Clio, 2) => of_clio(Action::SameAgain).path(part),
        (System::Clio, _) => {
            of_clio(Action::Ignores { parameters: filter.iter().map(|&it: &&str| it.to_owned()).collect() })
        }
        (System::Gis, 0..2) => Fault::new(System::Gis, Action::ApplyTwice).path("applyEdits"),
        (System::Gis, _) => Fault::new(System::Gis, Action::SameAgain).path("/2/query"),
        (System::Storage, _) => Fault::new(System::Storage, Action::ApplyTwice).method("PUT"),
    }
}

fn status(status: u16) -> Action {
    Action::Status { status, body: String::new(), headers: [].into() }
}
