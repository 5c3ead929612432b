//! Creates, updates and deletes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use databridge_bridge::{Effect, OutsideSystem, PushTask, StillMine};
use databridge_model::subject::Lane;
use databridge_model::{FailureClass, Op, OutcomeResult, Value};
use sandbox::calls::System;
use sandbox::clio::hand::{ClioSettings, FieldEdit, MatterEdit, MatterPage, TextLimits};
use sandbox::faults::{Action, Fault};

use serde_json::json;

use crate::office::{Office, STATUS, WARRANT, create, text, update};

/// The value of a custom field as a person sees it.
fn seen(matter: &MatterPage, name: &str) -> Option<String> {
    matter.custom_fields.get(name).cloned().flatten()
}

#[tokio::test]
async fn a_create_is_one_call_and_shows_the_matter_with_its_handle() {
    let office = Office::ready().await;
    let values = [(STATUS, text("Hearing")), ("GIS Object ID", text("17")), ("Subdistrict", Value::Null)];
    let done = office.push(create("E 12/3", &values), false).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 1), "{}", done.error);
    let shown = done.shown.unwrap();
    assert_eq!(shown.fields[STATUS], text("Hearing"));
    assert_eq!(shown.fields["description"], text("12 Main St"));
    let matter = &office.matters_of("E 12/3").await[0];
    assert_eq!(matter.id.to_string(), shown.id);
    assert_eq!(matter.client, "NP Clinic Client");
    assert_eq!(matter.group.as_deref(), Some("NP Clinic"));
    assert_eq!(matter.practice_area.as_deref(), Some("Neighborhood Preservation"));
    assert_eq!(seen(matter, STATUS).as_deref(), Some("Hearing"));

    let pulled = office.pull(matter.id).await;
    assert_eq!(pulled, shown, "what a write shows is what a pull shows");
    let update = office.push(update(&shown, &[(STATUS, text("Stay"))]), false).await;
    assert_eq!((update.result, update.calls), (OutcomeResult::Written, 1), "{}", update.error);
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_create_that_may_have_been_done_is_looked_up_and_found() {
    for action in [Action::DropAfter, Action::AppliedThen504, Action::Truncate] {
        let office = Office::ready().await;
        office.admin.fault(&Fault::new(System::Clio, action.clone()).method("POST")).await.unwrap();
        let effect = office.effect(create("E-1", &[]), false).await;
        let Effect::Failed(failure) = effect else { panic!("{action:?}: {effect:?}") };
        assert_eq!(failure.class, FailureClass::Unknown, "{action:?}");
        let again = office.push(create("E-1", &[]), true).await;
        assert_eq!((again.result, again.calls), (OutcomeResult::Exists, 1), "{action:?}");
        assert_eq!(office.matters_of("E-1").await.len(), 1);
    }
}

#[tokio::test]
async fn a_create_that_was_not_done_is_done_after_the_look_up() {
    let office = Office::ready().await;
    office.admin.fault(&Fault::new(System::Clio, Action::Drop).method("POST")).await.unwrap();
    let effect = office.effect(create("E-1", &[]), false).await;
    assert!(matches!(effect, Effect::Failed(_)), "{effect:?}");
    let again = office.push(create("E-1", &[]), true).await;
    assert_eq!((again.result, again.calls), (OutcomeResult::Written, 2));
    assert_eq!(office.matters_of("E-1").await.len(), 1);
}

#[tokio::test]
async fn a_create_without_a_complete_listing_looks_up_its_key_exactly() {
    let office = Office::ready().await;
    office.add("e-1", &[]).await;
    let push = || databridge_model::PushRequest { absent_in: None, ..create("E-1", &[]) };
    assert_eq!(office.push(push(), false).await.result, OutcomeResult::Written);
    let second = office.push(push(), false).await;
    assert_eq!(second.result, OutcomeResult::Exists);
    assert_eq!(second.shown.unwrap().key.unwrap().as_str(), "E-1");

    let double = office.add("E-1", &[]).await;
    let third = office.push(push(), false).await;
    assert_eq!(third.result, OutcomeResult::Refused);
    assert!(
        third.error.contains(&double.id.to_string()) && third.error.contains("2 matters"),
        "{}",
        third.error
    );
}

#[tokio::test]
async fn a_key_that_clio_compares_more_coarsely_than_we_do_is_another_key() {
    let office = Office::ready().await;
    let found = office.found().await;
    let alike = json!({"data": [{
        "id": 1, "etag": "\"e\"", "description": "x", "updated_at": "2026-11-20T15:00:00Z",
        "group": {"id": found.group_id}, "practice_area": {"id": found.practice_area_id},
        "custom_field_values": [
            {"id": "text_line-1", "value": "e-1", "custom_field": {"id": found.custom_fields[WARRANT].id}},
        ],
    }]});
    let action = Action::Status { status: 200, body: alike.to_string(), headers: BTreeMap::new() };
    let fault = Fault::new(System::Clio, action).method("GET").path("custom_field_values");
    office.admin.fault(&fault).await.unwrap();
    let done = office.push(create("E-1", &[]), true).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 2), "{}", done.error);
}

#[tokio::test]
async fn a_create_without_description_or_key_is_refused_by_name_and_costs_nothing() {
    let office = Office::ready().await;
    let mut push = create("E-1", &[]);
    push.set.insert("description".to_owned(), Value::Null);
    let done = office.push(push, false).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Refused, 0));
    assert!(done.error.contains("description"));
    let mut push = create("E-1", &[]);
    push.set.remove(WARRANT);
    let done = office.push(push, false).await;
    assert!(done.result == OutcomeResult::Refused && done.error.contains(WARRANT), "{}", done.error);
}

#[tokio::test]
async fn an_update_sets_changes_and_empties_values() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[(STATUS, "Hearing"), ("Location", "here")]).await;
    let shown = office.pull(matter.id).await;
    let values = [
        (STATUS, text("Stay")),
        ("Location", Value::Null),
        ("Property Owner", text("Ann \"O\" Neal")),
        ("Defendent", Value::Null),
        ("GIS Object ID", text("5")),
    ];
    let done = office.push(update(&shown, &values), false).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 1), "{}", done.error);
    let shown = done.shown.unwrap();
    for (name, value) in &values {
        assert_eq!(&shown.fields[*name], value, "{name}");
    }
    let matter = &office.matters_of("E-1").await[0];
    assert_eq!(seen(matter, "Location"), None);
    assert_eq!(seen(matter, "Property Owner").as_deref(), Some("Ann \"O\" Neal"));
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_persons_edit_meanwhile_makes_an_update_stale_and_is_not_overwritten() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[(STATUS, "Hearing")]).await;
    let shown = office.pull(matter.id).await;
    office.admin.edit_matter(matter.id, &MatterEdit::field(STATUS, Some("Receiver"))).await.unwrap();
    let done = office.push(update(&shown, &[(STATUS, text("Stay"))]), false).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Stale, 2));
    assert_eq!(done.shown.unwrap().fields[STATUS], text("Receiver"), "the answer spares a read");
    assert_eq!(seen(&office.matters_of("E-1").await[0], STATUS).as_deref(), Some("Receiver"));
}

#[tokio::test]
async fn an_update_that_may_have_been_done_is_looked_up() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[(STATUS, "Hearing")]).await;
    let shown = office.pull(matter.id).await;
    let push = || update(&shown, &[(STATUS, text("Stay"))]);
    office.admin.fault(&Fault::new(System::Clio, Action::DropAfter).method("PATCH")).await.unwrap();
    assert!(matches!(office.effect(push(), false).await, Effect::Failed(_)));
    office.admin.reset_calls().await.unwrap();
    let again = office.push(push(), true).await;
    assert_eq!((again.result, again.calls), (OutcomeResult::Unchanged, 1));
    assert_eq!(office.calls().await.writes, 0);

    office.admin.edit_matter(matter.id, &MatterEdit::field(STATUS, Some("Receiver"))).await.unwrap();
    let edited = office.push(push(), true).await;
    assert_eq!(edited.result, OutcomeResult::Stale, "neither the old value nor ours");

    office.admin.edit_matter(matter.id, &MatterEdit::field(STATUS, Some("Hearing"))).await.unwrap();
    let undone = office.push(push(), true).await;
    assert_eq!((undone.result, undone.calls), (OutcomeResult::Written, 2));
}

#[tokio::test]
async fn a_longer_text_that_begins_like_the_old_one_is_written_after_a_doubt() {
    let office = Office::ready().await;
    let old = "x".repeat(60);
    let matter = office.add("E-1", &[("NPA Inspection Summary", &old)]).await;
    let shown = office.pull(matter.id).await;
    let longer = text(&"x".repeat(100));
    let done = office.push(update(&shown, &[("NPA Inspection Summary", longer)]), true).await;
    assert_eq!(done.result, OutcomeResult::Written);
}

#[tokio::test]
async fn a_matter_that_is_deleted_or_left_our_group_is_gone() {
    let office = Office::ready().await;
    let (left, deleted) = (office.add("E-1", &[]).await, office.add("E-2", &[]).await);
    let shown = [office.pull(left.id).await, office.pull(deleted.id).await];
    let edit = MatterEdit { group: Some("Family Law Team".to_owned()), ..MatterEdit::default() };
    office.admin.edit_matter(left.id, &edit).await.unwrap();
    office.admin.delete_matter(deleted.id).await.unwrap();
    for shown in &shown {
        for doubtful in [false, true] {
            let done = office.push(update(shown, &[(STATUS, text("Stay"))]), doubtful).await;
            assert_eq!(done.result, OutcomeResult::Gone, "{}", shown.id);
            assert!(done.shown.is_none());
        }
    }
}

#[tokio::test]
async fn an_unknown_option_is_read_for_once_then_parked_and_the_rest_written() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let mut shown = office.pull(matter.id).await;
    office.admin.reset_calls().await.unwrap();
    for calls in [2, 1] {
        let done = office
            .push(update(&shown, &[(STATUS, text("Appeal")), ("Location", text("there"))]), false)
            .await;
        assert_eq!((done.result, done.calls), (OutcomeResult::Written, calls), "{}", done.error);
        assert!(done.parked[STATUS].contains("no option \"Appeal\""), "{:?}", done.parked);
        shown = done.shown.unwrap();
    }
    let nothing_else = office.push(update(&shown, &[(STATUS, text("Appeal"))]), false).await;
    assert_eq!((nothing_else.result, nothing_else.calls), (OutcomeResult::Unchanged, 0));
    assert!(nothing_else.shown.is_none() && nothing_else.parked.len() == 1);

    let edit = FieldEdit { add_option: Some("Remand".to_owned()), ..FieldEdit::default() };
    office.admin.edit_custom_field(STATUS, &edit).await.unwrap();
    let added = office.push(update(&shown, &[(STATUS, text("Remand"))]), false).await;
    assert_eq!((added.result, added.parked), (OutcomeResult::Written, BTreeMap::new()));
}

#[tokio::test]
async fn a_field_that_clio_refuses_by_name_is_parked_and_the_rest_written() {
    let office = Office::ready().await;
    let limits = Some(TextLimits { text_line: 20, text_area: 100 });
    let settings = ClioSettings { text_limits: Some(limits), ..ClioSettings::default() };
    office.admin.clio_settings(&settings).await.unwrap();
    let long = text("a street name of more than twenty letters");
    let done = office.push(create("E-1", &[("Location", long.clone()), (STATUS, text("Demo"))]), false).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 2), "{}", done.error);
    assert!(done.parked["Location"].contains("too long"), "{:?}", done.parked);
    let shown = done.shown.unwrap();
    let done = office.push(update(&shown, &[("Location", long)]), false).await;
    assert_eq!(done.result, OutcomeResult::Unchanged);

    let refused = office.push(create("a warrant of more than twenty letters", &[]), false).await;
    assert_eq!(refused.result, OutcomeResult::Refused, "a matter is not made without its key");
    assert!(office.matters_of("a warrant of more than twenty letters").await.is_empty());
}

#[tokio::test]
async fn a_persons_push_without_handle_reads_the_matter_first() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[(STATUS, "Hearing")]).await;
    let mut push = update(&office.pull(matter.id).await, &[(STATUS, text("Stay"))]);
    push.expect.clear();
    push.target.as_mut().unwrap().handle = serde_json::Value::Null;
    let done = office.push(push.clone(), false).await;
    assert_eq!((done.result, done.calls), (OutcomeResult::Written, 2));

    let foreign = office.admin.matters().await.unwrap()[0].id;
    push.target.as_mut().unwrap().id = foreign.to_string();
    assert_eq!(office.push(push.clone(), false).await.result, OutcomeResult::Gone);
    push.target.as_mut().unwrap().id = "../users/1".to_owned();
    assert_eq!(office.push(push, false).await.result, OutcomeResult::Refused);
}

#[tokio::test]
async fn a_delete_removes_ours_and_never_anothers() {
    let office = Office::ready().await;
    let matter = office.add("E-1", &[]).await;
    let foreign = office.admin.matters().await.unwrap()[0].id;
    let mut push = update(&office.pull(matter.id).await, &[]);
    push.op = Op::Delete;
    assert_eq!(office.push(push.clone(), false).await.result, OutcomeResult::Written);
    assert!(office.matters_of("E-1").await.is_empty());
    assert_eq!(office.push(push.clone(), true).await.result, OutcomeResult::Gone);
    push.target.as_mut().unwrap().id = foreign.to_string();
    assert_eq!(office.push(push, false).await.result, OutcomeResult::Gone);
    assert!(office.admin.matters().await.unwrap().iter().any(|matter| matter.id == foreign));
}

#[tokio::test]
async fn a_used_up_limit_sends_nothing_and_is_no_attempt() {
    let office = Office::ready().await;
    let fault = Fault::new(System::Clio, Action::RateLimited { retry_after: 30 }).method("POST");
    office.admin.fault(&fault).await.unwrap();
    let Effect::NotNow(wait) = office.effect(create("E-1", &[]), false).await else { panic!("not limited") };
    assert!(wait.time > Duration::from_secs(25), "{wait:?}");
    let Effect::NotNow(_) = office.effect(create("E-1", &[]), false).await else { panic!("not limited") };
    assert_eq!(office.calls().await.limited, 1, "the second was not sent");
    assert!(tokio::time::timeout(Duration::from_millis(300), office.system.capacity()).await.is_err());
}

#[tokio::test]
async fn many_creates_at_fifty_calls_a_minute_meet_no_429() {
    let office = Office::ready().await;
    let settings = ClioSettings { rate_limit: Some(Some(50)), ..ClioSettings::default() };
    office.admin.clio_settings(&settings).await.unwrap();
    let mut written = 0;
    for round in 0..12 {
        let tasks = (0..8)
            .map(|number| PushTask {
                push: create(&format!("E-{round}-{number}"), &[]),
                lane: Lane::Bulk,
                doubtful: false,
                earlier: None,
                still_mine: StillMine(Arc::new(|| true)),
            })
            .collect();
        for effect in office.system.apply(&Office::collection(), tasks).await {
            match effect {
                Effect::Settled { result: OutcomeResult::Written, .. } => written += 1,
                Effect::NotNow(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let calls = office.calls().await;
    assert_eq!(calls.limited, 0);
    assert!((1..=50).contains(&written), "{written}");
}

#[tokio::test]
async fn a_push_that_is_another_workers_by_now_is_not_sent() {
    let office = Office::ready().await;
    let task = PushTask {
        push: create("E-1", &[]),
        lane: Lane::Live,
        doubtful: false,
        earlier: None,
        still_mine: StillMine(Arc::new(|| false)),
    };
    let effects = office.system.apply(&Office::collection(), vec![task]).await;
    assert!(matches!(effects.as_slice(), [Effect::NotNow(_)]), "{effects:?}");
    assert_eq!(office.calls().await.writes, 0);
}

#[tokio::test]
async fn a_revoked_token_stops_pushes_and_tells_what_to_do() {
    let office = Office::ready().await;
    office.admin.revoke_tokens().await.unwrap();
    let place = office.begin(databridge_bridge::Span::Whole, None).await;
    let error = office.system.page(&Office::collection(), &place, 9).await.unwrap_err();
    assert!(error.message.contains("databridge connect"), "{error}");
    assert!(matches!(office.effect(create("E-1", &[]), false).await, Effect::NotNow(_)));
}
