//! Making Clio ready.

use clio_bridge::BootstrapError;
use sandbox::clio::hand::FieldEdit;

use crate::office::{Office, STATUS};

#[tokio::test]
async fn a_bootstrap_makes_what_is_missing_and_passes_over_what_is_only_alike() {
    let office = Office::bare().await;
    let report = office.bootstrap().await.unwrap();
    assert!(report.found.is_empty(), "{report:?}");
    assert_eq!(report.made.len(), office.wanted(), "{report:?}");

    let found = office.found().await;
    let groups = office.admin.groups().await.unwrap();
    let group = groups.iter().find(|group| group.name == "NP Clinic").unwrap();
    assert_eq!(u64::try_from(group.id).unwrap(), found.group_id);
    let fields = office.admin.custom_fields().await.unwrap();
    let field = fields.iter().find(|field| field.name == STATUS && field.parent_type == "Matter").unwrap();
    assert_eq!(u64::try_from(field.id).unwrap(), found.custom_fields[STATUS].id);
    assert_eq!(field.options.len(), 14);
    assert_eq!(found.custom_fields[STATUS].options.len(), 14);
    office.kept_to_the_specification().await;
}

#[tokio::test]
async fn a_second_bootstrap_writes_nothing() {
    let office = Office::ready().await;
    let before = office.found().await;
    let report = office.bootstrap().await.unwrap();
    assert!(report.made.is_empty() && report.found.len() == office.wanted(), "{report:?}");
    assert_eq!(office.calls().await.writes, 0);
    assert_eq!(office.found().await.custom_fields, before.custom_fields);
}

#[tokio::test]
async fn a_missing_option_is_added_and_the_others_keep_their_ids() {
    let office = Office::ready().await;
    let before = office.found().await;
    let edit = FieldEdit { remove_option: Some("Stay".to_owned()), ..FieldEdit::default() };
    office.admin.edit_custom_field(STATUS, &edit).await.unwrap();
    let report = office.bootstrap().await.unwrap();
    assert_eq!(report.made, ["option \"Stay\" of \"Court Status\""]);
    let after = office.found().await;
    let (before, after) = (&before.custom_fields[STATUS].options, &after.custom_fields[STATUS].options);
    assert_eq!(before["Hearing"], after["Hearing"]);
    assert_ne!(before["Stay"], after["Stay"]);
}

#[tokio::test]
async fn two_of_one_name_and_a_wrong_type_are_told_with_their_ids_and_nothing_is_made() {
    let office = Office::ready().await;
    let rename = |name: &str| FieldEdit { rename: Some(name.to_owned()), ..FieldEdit::default() };
    office.admin.edit_custom_field("Subdistrict", &rename("Location")).await.unwrap();
    office.admin.edit_custom_field("Parcel ID", &rename("GIS Object ID (old)")).await.unwrap();
    office.admin.edit_custom_field("GIS Object ID", &rename("Parcel ID")).await.unwrap();
    let Err(BootstrapError::Disorder(told)) = office.bootstrap().await else { panic!("no disorder") };
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("two custom fields \"Location\""), "{told:?}");
    assert!(told[1].contains("is of type numeric and should be text_line"), "{told:?}");
    assert_eq!(office.calls().await.writes, 0);
}

#[tokio::test]
async fn before_a_bootstrap_everything_waits_and_says_why() {
    let office = Office::bare().await;
    let error = office.catalogue.current(&clio_bridge::Errand::patient()).await.unwrap_err();
    assert!(error.message.contains("run `databridge bootstrap`"), "{error}");
    let effect = office.effect(crate::office::create("E-1", &[]), false).await;
    assert!(matches!(effect, databridge_bridge::Effect::NotNow(_)), "{effect:?}");
}

#[tokio::test]
async fn the_calendar_is_found_or_made_by_its_exact_name_and_two_of_it_are_told() {
    let office = Office::ready().await;
    let calendars = office.admin.calendars().await.unwrap();
    let ours: Vec<_> = calendars.iter().filter(|calendar| calendar.name == "NP Clinic Calendar").collect();
    assert_eq!(ours.len(), 1, "those alike are others': {calendars:?}");
    assert_eq!(u64::try_from(ours[0].id).ok(), office.found().await.calendar_id);
    let other = office.admin.add_calendar("NP Clinic Calendar").await.unwrap();
    let Err(BootstrapError::Disorder(told)) = office.bootstrap().await else { panic!("no disorder") };
    for id in [ours[0].id, other.id] {
        assert!(told.len() == 1 && told[0].contains(&id.to_string()), "{told:?}");
    }
}
