//! All that is said to Clio and by it, in a day of the town's life, against Clio's published specification.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, ensure};
use it::Town;
use it::town::{object_id, project};
use sandbox::calls::System;
use sandbox::client::GisEdit;
use sandbox::clio::hand::MatterEdit;
use sandbox::faults::{Action, Fault};
use sandbox::openapi::Spec;
use sandbox::traffic::Traffic;
use serde_json::json;

use crate::bad_input::{litigation, matter_by_hand};

type Result = anyhow::Result<()>;

/// A migrate, edits of every kind on both sides, cycles, a meeting of two edits, a repeated create.
async fn a_day(town: &Town) -> Result {
    town.connect().await?;
    town.admin.add_matter(&matter_by_hand("E-1")).await?;
    town.admin.add_features(town.layer(), &[litigation("E-1", "1 A St")]).await?;
    town.strike(Fault::new(System::Clio, Action::AppliedThen504).method("POST").path("matters.json")).await?;
    town.migrate().await?;
    for (number, row) in (0..).zip(town.rows().await?) {
        let edit = GisEdit::field("Court_Property_Owner", format!("Owner {number}"))
            .and_field(
                "NPA_Inspect_Summary",
                if number % 2 == 0 { json!(null) } else { json!("Roof.\n\"New\"") },
            )
            .and_field("Court_Status", if number == 1 { "Mediation" } else { "Stay" })
            .and_place(Some((-90.0, 35.0)));
        town.admin.edit_feature(town.layer(), object_id(&row)?, &edit).await?;
    }
    town.admin.add_features(town.layer(), &[litigation("E-2", "2 B St")]).await?;
    town.cycle().await?;
    for matter in town.matters().await? {
        let edit = MatterEdit::field("Defendent", Some("New Defendant"))
            .and_field("Court Status", None)
            .and_field("Property Owner", Some("Clio's Owner"));
        town.admin.edit_matter(matter.id, &edit).await?;
    }
    let row = town.rows().await?.remove(0);
    town.edit_row(&row, "Court_Property_Owner", "The Map's Owner").await?;
    // The map goes first, so its write meets an etag that is not the matter's any more.
    town.cycle().await?;
    town.let_the_overlap_pass().await?;
    town.cycle().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_days_traffic_with_clio_fits_its_specification_and_our_own_table() -> Result {
    let town = Town::with(it::TownOptions {
        gis: sandbox::GisOptions::city(4, 7),
        rate_limit: Some(6_000),
        connected: false,
        ..it::TownOptions::default()
    })
    .await?;
    town.admin.record_traffic(true).await?;
    a_day(&town).await?;
    let traffic = town.admin.traffic().await?;
    assert_eq!(town.admin.strays().await?, [], "nothing is asked that is not in our table of endpoints");
    let said = |method: &str, status: u16| {
        let clio = traffic.iter().filter(|exchange| exchange.system == System::Clio);
        clio.filter(|exchange| exchange.method == method && exchange.status == status).count()
    };
    for (method, status) in [("GET", 200), ("POST", 201), ("POST", 504), ("PATCH", 200), ("PATCH", 412)] {
        assert!(said(method, status) > 0, "the day had no {method} answered {status}");
    }
    let file = project().join("../shared/data/clio-openapi-relaxed.json");
    if !file.exists() {
        eprintln!("skipped: Clio's specification is not at {}", file.display());
        return Ok(());
    }
    let spec = Spec::read(&file)?;
    let wrong: Vec<_> = traffic.iter().flat_map(|exchange| spec.check(exchange)).collect();
    assert_eq!(wrong, [] as [String; 0]);
    assert_the_check_bites(&spec, &traffic)
}

/// The same traffic with one thing wrong in each kind of exchange is found out.
fn assert_the_check_bites(spec: &Spec, traffic: &[Traffic]) -> Result {
    for (method, status) in [("POST", 201), ("PATCH", 200)] {
        let found = traffic.iter().find(|exchange| {
            exchange.method == method
                && exchange.status == status
                && exchange.path.contains("/api/v4/matters")
        });
        let good = found.with_context(|| format!("no {method}"))?;
        let body = good.request_body.replacen("\"custom_field_values\"", "\"custom_field_value\"", 1);
        assert_ne!(body, good.request_body);
        let query = format!("{}&colour=red", good.query);
        for wrong in [Traffic { request_body: body, ..good.clone() }, Traffic { query, ..good.clone() }] {
            assert_eq!(spec.check(&wrong).len(), 1, "{method}: {:?}", spec.check(&wrong));
        }
    }
    Ok(())
}

/// What a town says at its end after one request to Clio; nothing where it has nothing against it.
async fn said_at_the_end_after(request: &str) -> anyhow::Result<String> {
    let town = Town::with(it::TownOptions {
        gis: sandbox::GisOptions::city(0, 7),
        connected: false,
        ..it::TownOptions::default()
    })
    .await?;
    let url = town.sandbox.url().join("api/v4/")?.join(request)?;
    let answer = databridge_http::client("test")?.get(url).send().await?;
    ensure!([401, 404].contains(&answer.status().as_u16()), "{request} is answered {}", answer.status());
    let Err(said) = catch_unwind(AssertUnwindSafe(|| drop(town))) else { return Ok(String::new()) };
    let said = said.downcast::<String>().map(|said| *said);
    said.map_err(|_| anyhow::anyhow!("the town ends with something else than words"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_town_fails_at_its_end_if_clio_was_asked_what_its_specification_does_not_take() -> Result {
    let file = project().join("../shared/data/clio-openapi-relaxed.json");
    if !file.exists() {
        eprintln!("skipped: Clio's specification is not at {}", file.display());
        return Ok(());
    }
    let said = said_at_the_end_after("matters.json?limit=many").await?;
    let wrong = "GET /api/v4/matters.json: parameter limit does not take \"many\"";
    assert_eq!(said.lines().skip(1).collect::<Vec<_>>(), [wrong]);
    assert_eq!(said_at_the_end_after("matters.json?limit=5").await?, "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_town_fails_at_its_end_if_clio_was_asked_what_is_not_in_our_table() -> Result {
    let said = said_at_the_end_after("bills.json").await?;
    assert!(said.contains("path: \"bills.json\""), "{said}");
    Ok(())
}
