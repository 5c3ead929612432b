//! Lists: paging, filters, look-ups by name.

use std::collections::BTreeSet;
use std::time::Duration;

use sandbox::clio::hand::{MatterEdit, NewMatter};
use sandbox::clio::seed::{FOREIGN_MARK, FOREIGN_MATTERS};
use serde_json::{Value, json};
use url::Url;

use crate::house::{Furniture, House};

async fn street(house: &House, matters: usize) -> Furniture {
    let furniture = house.furnish().await;
    for number in 0..matters {
        house.create("matters", &furniture.matter(&format!("E-23-{number:05}"))).await;
    }
    furniture
}

fn ids(list: &Value) -> Vec<i64> {
    list["data"].as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()).collect()
}

async fn follow(house: &House, next: &Value) -> Value {
    let url = Url::parse(next.as_str().unwrap()).unwrap();
    house.get(&format!("matters?{}", url.query().unwrap())).await
}

#[tokio::test]
async fn a_cursor_visits_every_matter_of_the_group_once_and_ends_without_next() {
    let house = House::open().await;
    let furniture = street(&house, 7).await;
    let mut page = house
        .get(&format!("matters?group_id={}&fields=id,description&limit=3&order=id(asc)", furniture.group))
        .await;
    let mut seen = Vec::new();
    let mut sizes = Vec::new();
    loop {
        assert_eq!(page["meta"]["records"], 7);
        assert!(page["data"][0]["description"].is_string(), "the next page carries the fields");
        seen.extend(ids(&page));
        sizes.push(ids(&page).len());
        let next = page["meta"]["paging"]["next"].clone();
        if next.is_null() {
            assert!(page["meta"]["paging"].get("next").is_none(), "omitted at the end");
            break;
        }
        for part in ["page_token=", "limit=3", "fields="] {
            assert!(next.as_str().unwrap().contains(part), "{next}");
        }
        page = follow(&house, &next).await;
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 7);
    assert!(seen.is_sorted());
    let back = follow(&house, &page["meta"]["paging"]["previous"]).await;
    assert_eq!(ids(&back), seen[3..6]);
}

#[tokio::test]
async fn a_client_may_send_its_parameters_again_with_the_next_address() {
    let house = House::open().await;
    let furniture = street(&house, 3).await;
    let first = house.get(&format!("matters?group_id={}&fields=id&limit=2", furniture.group)).await;
    let next = Url::parse(first["meta"]["paging"]["next"].as_str().unwrap()).unwrap();
    let doubled = format!("matters?{}&limit=2&fields=id&group_id=1", next.query().unwrap());
    assert_eq!(ids(&house.get(&doubled).await).len(), 1);
}

#[tokio::test]
async fn records_made_while_paging_do_not_move_the_cursor() {
    let house = House::open().await;
    let furniture = street(&house, 4).await;
    let first = house.get(&format!("matters?group_id={}&limit=2", furniture.group)).await;
    house.admin.delete_matter(ids(&first)[0]).await.unwrap();
    let second = follow(&house, &first["meta"]["paging"]["next"]).await;
    assert_eq!(ids(&second).len(), 2);
    assert!(ids(&second).iter().all(|id| *id > ids(&first)[1]));
}

#[tokio::test]
async fn a_limit_outside_1_to_200_is_refused_with_422() {
    let house = House::open().await;
    for limit in ["0", "201", "-1", "many"] {
        assert_eq!(house.status_of_get(&format!("matters?limit={limit}")).await, 422, "{limit}");
    }
    assert_eq!(house.status_of_get("matters?limit=200").await, 200);
}

#[tokio::test]
async fn updated_since_means_after_and_wants_a_whole_timestamp() {
    let house = House::open().await;
    let furniture = street(&house, 2).await;
    house.admin.advance_clock(Duration::from_secs(100)).await.unwrap();
    let all = house.get(&format!("matters?group_id={}", furniture.group)).await;
    let edit = MatterEdit::field("Civil Warrant", Some("E-9"));
    let edited = house.admin.edit_matter(ids(&all)[0], &edit).await.unwrap();
    let list = async |since: &str| {
        house.get(&format!("matters?group_id={}&updated_since={since}", furniture.group)).await
    };
    let at = edited.updated_at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    assert!(ids(&list(&at).await).is_empty(), "not at that very second");
    let before =
        (edited.updated_at - Duration::from_secs(1)).format("%Y-%m-%dT%H:%M:%S%%2B00:00").to_string();
    assert_eq!(ids(&list(&before).await), [edited.id]);
    for bad in ["2026-11-20", "2026-11-20T10:10:10+00:00", "yesterday"] {
        assert_eq!(house.status_of_get(&format!("matters?updated_since={bad}")).await, 400, "{bad}");
    }
}

#[tokio::test]
async fn filters_narrow_by_group_area_status_ids_and_field_values() {
    let house = House::open().await;
    let furniture = street(&house, 3).await;
    let own = ids(&house.get(&format!("matters?group_id={}", furniture.group)).await);
    assert_eq!(own.len(), 3);
    assert_eq!(ids(&house.get("matters").await).len(), 3 + FOREIGN_MATTERS);
    let filter = |text: String| {
        let house = &house;
        async move { ids(&house.get(&format!("matters?{text}")).await) }
    };
    assert_eq!(filter(format!("practice_area_id={}", furniture.area)).await, own);
    assert_eq!(filter(format!("client_id={}", furniture.client)).await, own);
    assert_eq!(filter(format!("ids[]={}&ids[]={}", own[0], own[2])).await, [own[0], own[2]]);
    let warrant = furniture.warrant;
    assert_eq!(filter(format!("custom_field_values[{warrant}]=E-23-00001")).await, [own[1]]);
    assert!(filter(format!("custom_field_values[{warrant}]=E-23-0000")).await.is_empty());
    assert!(filter(format!("custom_field_values[{warrant}]==E-23-00001")).await.is_empty());
    let hearing = format!("custom_field_values[{}]={}", furniture.court_status, furniture.hearing);
    assert_eq!(filter(hearing).await, own);
    assert!(filter("status=closed,pending".to_owned()).await.len() < FOREIGN_MATTERS);
    for bad in ["status=Open", "group_id=null", "ids[]=x", "order=colour(asc)", "custom_field_values[1]=x"] {
        assert_eq!(house.status_of_get(&format!("matters?{bad}")).await, 400, "{bad}");
    }
}

#[tokio::test]
async fn numbers_are_compared_with_operators() {
    let house = House::open().await;
    let furniture = house.furnish().await;
    for number in [5, 40, 300] {
        let mut matter = furniture.matter("E-1");
        matter["custom_field_values"] =
            json!([{"custom_field": {"id": furniture.object}, "value": number.to_string()}]);
        house.create("matters", &matter).await;
    }
    let count = async |condition: &str| {
        let path = format!("matters?custom_field_values[{}]={condition}", furniture.object);
        ids(&house.get(&path).await).len()
    };
    assert_eq!(count("40").await, 1);
    assert_eq!(count(">=40").await, 2);
    assert_eq!(count("%3C40").await, 1);
    assert_eq!(count("[%3E5, %3C300]").await, 1);
}

#[tokio::test]
async fn custom_field_ids_trim_the_values_shown() {
    let house = House::open().await;
    let furniture = street(&house, 1).await;
    let path = format!(
        "matters?group_id={}&custom_field_ids[]={}&fields=custom_field_values{{id,field_name}}",
        furniture.group, furniture.warrant
    );
    let values = house.get(&path).await["data"][0]["custom_field_values"].clone();
    assert_eq!(values.as_array().unwrap().len(), 1);
    assert_eq!(values[0]["field_name"], "Civil Warrant");
}

#[tokio::test]
async fn other_orders_page_too() {
    let house = House::open().await;
    street(&house, 3).await;
    let first = house.get("matters?order=id(desc)&limit=20&fields=id").await;
    let second = follow(&house, &first["meta"]["paging"]["next"]).await;
    let seen: Vec<_> = ids(&first).into_iter().chain(ids(&second)).collect();
    assert_eq!(seen.len(), 28);
    assert!(seen.is_sorted_by(|one, two| one > two));
}

#[tokio::test]
async fn look_ups_by_name_are_fuzzy_and_find_lookalikes() {
    let house = House::open().await;
    let names = async |path: &str| {
        let list = house.get(&format!("{path}&fields=id,name")).await;
        let records = list["data"].as_array().unwrap().iter();
        records.map(|record| record["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        names("contacts?query=NP Clinic Client Test").await,
        ["NP Clinic Client Test Archive", "np clinic client test"]
    );
    assert_eq!(names("groups?name=NP Clinic").await, ["NP clinic"]);
    assert_eq!(
        names("practice_areas?name=Neighborhood Preservation Test").await,
        ["neighborhood preservation test"]
    );
    assert_eq!(names("custom_fields?parent_type=matter&query=Location").await, ["Location Notes"]);
    assert_eq!(names("custom_fields?query=Court Status").await, ["Court Status"], "one for contacts");
    assert!(names("custom_fields?parent_type=matter&query=Court Status").await.is_empty());
    assert_eq!(house.status_of_get("custom_fields?parent_type=Matter").await, 400);
    assert_eq!(names("users?order=id(asc)").await, ["Ada Lawson", "Ben Ortiz"]);
}

#[tokio::test]
async fn foreign_matters_carry_the_mark_and_none_is_in_a_new_group() {
    let house = House::open().await;
    let furniture = street(&house, 1).await;
    let pages = house.admin.matters().await.unwrap();
    let marked = pages.iter().filter(|matter| matter.description.contains(FOREIGN_MARK)).count();
    assert_eq!(marked, FOREIGN_MATTERS);
    let mine = house.get(&format!("matters?group_id={}&fields=description", furniture.group)).await;
    assert!(!mine.to_string().contains(FOREIGN_MARK));
    let made = NewMatter {
        client: "Iris Calloway".to_owned(),
        description: "by hand".to_owned(),
        group: Some("NP Clinic".to_owned()),
        ..NewMatter::default()
    };
    house.admin.add_matter(&made).await.unwrap();
    assert_eq!(ids(&house.get(&format!("matters?group_id={}", furniture.group)).await).len(), 2);
}
