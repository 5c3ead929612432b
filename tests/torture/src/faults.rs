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
        System::Clio => actions.push(Action::RateLimited { retry_after: 1 }),
        System::Gis => {
            let message = "Invalid token.".to_owned();
            actions.push(Action::Error200 { code: 498, message: message.clone(), details: Vec::new() });
            actions.push(Action::ErrorMidway { code: 500, message });
        }
        System::Storage => {}
    }
    let action = actions.choose(random).cloned().unwrap_or(Action::Drop);
    let fault = Fault::new(system, action).skip(random.random_range(0..4)).times(random.random_range(1..4));
    match (system, random.random_range(0..4)) {
        (System::Clio, 0) => fault.method("POST"),
        (System::Clio, 1) => fault.method("PATCH"),
        (System::Gis, 0) => fault.path("applyEdits"),
        _ => fault,
    }
}

fn status(status: u16) -> Action {
    Action::Status { status, body: String::new(), headers: [].into() }
}
