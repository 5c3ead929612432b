//! Signing in to both systems: what a stopped auth-service, a revoked access and a token that ends do to the work.

use std::time::Duration;

use databridge::commands;
use it::town::{text, value};
use it::{Town, TownOptions};
use sandbox::GisOptions;
use sandbox::calls::System;
use sandbox::faults::{Action, Fault};
use sandbox::gis::GisAuth;
use serde_json::json;

type Result = anyhow::Result<()>;

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_auth_service_stops_nothing() -> Result {
    let mut town = Town::of_processes(3).await?;
    town.migrate().await?;
    town.processes.as_mut().unwrap().kill("auth-service").await?;
    let (row, matter) = (town.rows().await?.remove(0), town.matters().await?.remove(1));
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    town.edit_matter(&matter, "Defendent", "New Defendant").await?;
    let (first, second) = town.cycle().await?;
    assert!(first.summary.errors.is_empty() && second.summary.errors.is_empty());
    assert_eq!(value(&town.matter(&text(&row, "CivilWarrant")).await?, "Property Owner"), "New Owner");
    let row = town.row(&value(&matter, "Civil Warrant")).await?;
    assert_eq!(text(&row, "AntiNeglect_Plans_App_By"), "New Defendant");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_access_closes_the_run_with_what_to_do_and_after_connecting_again_it_goes_on() -> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    let matter = town.matters().await?.remove(0);
    let warrant = value(&matter, "Civil Warrant");
    town.admin.revoke_tokens().await?;
    town.edit_matter(&matter, "Property Owner", "New Owner").await?;
    let story = town.sync("clio").await?;
    let [error] = story.summary.errors.as_slice() else { panic!("one: {:?}", story.summary.errors) };
    assert!(error.contains("databridge connect"), "{error}");
    assert!(town.dead_letters().await?.is_empty());
    town.connect().await?;
    let story = town.sync("clio").await?;
    assert!(story.summary.errors.is_empty(), "{:?}", story.summary.errors);
    assert_eq!(text(&town.row(&warrant).await?, "Court_Property_Owner"), "New Owner");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_waits_for_the_new_sign_in_and_is_not_lost() -> Result {
    let town = Town::of(3).await?;
    town.migrate().await?;
    let row = town.rows().await?.remove(0);
    let warrant = text(&row, "CivilWarrant");
    town.admin.revoke_tokens().await?;
    town.edit_row(&row, "Court_Property_Owner", "New Owner").await?;
    let reconnect = async {
        // Clio refuses the push, so the auth-service learns that the access was taken back.
        it::watch::until("the refusal to be known", async || {
            let status = commands::ask(&town.broker, "auth.status.clio", &json!({}), "auth-service").await?;
            Ok((status["connected"] == false).then_some(()))
        })
        .await?;
        town.connect().await
    };
    let (story, reconnected) = tokio::join!(town.sync("gis"), reconnect);
    reconnected?;
    let story = story?;
    assert_eq!((story.summary.written, story.summary.failed), (1, 0));
    assert_eq!(value(&town.matter(&warrant).await?, "Property Owner"), "New Owner");
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clio_that_nobody_has_connected_is_told_with_what_to_do() -> Result {
    let town =
        Town::with(TownOptions { gis: GisOptions::city(2, 7), connected: false, ..TownOptions::default() })
            .await?;
    let story = town.sync("clio").await?;
    let [error] = story.summary.errors.as_slice() else { panic!("one: {:?}", story.summary.errors) };
    assert!(error.contains("databridge connect") || error.contains("databridge bootstrap"), "{error}");
    let story = town.migrate().await?;
    assert!(!story.summary.errors.is_empty(), "no matter is made while nobody knows which are there");
    assert_eq!(story.summary.pushes, 0);
    town.connect().await?;
    town.migrate().await?;
    assert_eq!(town.matters().await?.len(), 2);
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_clio_that_ends_in_mid_run_is_renewed_and_the_run_goes_on() -> Result {
    let town = Town::of(6).await?;
    town.migrate().await?;
    let page = town.hold(Fault::new(System::Clio, Action::Hold).method("GET").path("matters.json?")).await?;
    let meddle = async || {
        // 40 days at Clio: the access token has ended there, and the refresh token has not.
        town.admin.advance_clock(Duration::from_secs(40 * 24 * 3600)).await?;
        Ok(())
    };
    let story = page.during(town.full_sync("clio"), meddle).await?;
    assert_eq!((story.summary.records, story.summary.errors.len()), (6, 0), "{:?}", story.summary.errors);
    town.assert_same().await
}

/// A town whose map wants a sign-in, with pages of two rows.
async fn guarded(auth: GisAuth, options: TownOptions) -> anyhow::Result<Town> {
    let gis = GisOptions { auth, max_record_count: 2, ..GisOptions::city(5, 7) };
    Town::with(TownOptions { gis, ..options }).await
}

const LOGIN: Option<(&str, &str)> = Some(("databridge", "sandbox-password"));

#[tokio::test(flavor = "multi_thread")]
async fn the_map_with_a_fixed_token_is_read_and_written() -> Result {
    let options = TownOptions { gis_token: Some("sandbox-token"), ..TownOptions::default() };
    let town = guarded(GisAuth::Token, options).await?;
    town.migrate().await?;
    let matter = town.matters().await?.remove(0);
    town.edit_matter(&matter, "Property Owner", "New Owner").await?;
    town.cycle().await?;
    town.assert_same().await?;
    // Another token in its place: the run says which setting to mend.
    town.admin.gis_settings(json!({"token": "another"})).await?;
    let story = town.full_sync("gis").await?;
    let [error] = story.summary.errors.as_slice() else { panic!("one: {:?}", story.summary.errors) };
    assert!(error.contains("GIS_TOKEN") && !error.contains("sandbox-token"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_token_that_ends_in_mid_run_is_renewed_and_the_run_goes_on() -> Result {
    let options = TownOptions { gis_login: LOGIN, ..TownOptions::default() };
    let town = guarded(GisAuth::GenerateToken, options).await?;
    let second_page = Fault::new(System::Gis, Action::Hold).path("/2/query").body("orderByFields").skip(1);
    let page = town.hold(second_page).await?;
    let meddle = async || {
        town.admin.expire_gis_tokens().await?;
        Ok(())
    };
    let story = page.during(town.migrate(), meddle).await?;
    assert_eq!((story.summary.written, story.summary.errors.len()), (5, 0), "{:?}", story.summary.errors);
    // So between the query before a write and the write.
    let matter = town.matters().await?.remove(0);
    town.edit_matter(&matter, "Property Owner", "New Owner").await?;
    let edits = town.hold(Fault::new(System::Gis, Action::Hold).path("applyEdits")).await?;
    let meddle = async || {
        town.admin.expire_gis_tokens().await?;
        Ok(())
    };
    let story = edits.during(town.sync("clio"), meddle).await?;
    assert_eq!(story.summary.written, 1);
    let calls = town.admin.calls().await?;
    assert_eq!(
        calls.gis.by_path.get("POST tokens/generateToken").copied().unwrap_or_default(),
        3,
        "{calls:?}"
    );
    town.assert_same().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_for_the_map_closes_the_run_with_which_setting_to_mend() -> Result {
    let options = TownOptions { gis_login: Some(("databridge", "wrong")), ..TownOptions::default() };
    let town = guarded(GisAuth::GenerateToken, options).await?;
    for _ in 0..2 {
        let story = town.sync("gis").await?;
        let [error] = story.summary.errors.as_slice() else { panic!("one: {:?}", story.summary.errors) };
        assert!(error.contains("GIS_USERNAME and GIS_PASSWORD") && !error.contains("wrong\""), "{error}");
    }
    let calls = town.admin.calls().await?;
    let tries = calls.gis.by_path.get("POST tokens/generateToken").copied().unwrap_or_default();
    assert_eq!(tries, 1, "many wrong ones would lock the account: {calls:?}");
    Ok(())
}
