//! The end of the demo: the comparison, the table, and what to try by hand.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use databridge_model::Parked;
use indicatif::HumanCount;
use sandbox::client::GisFeature;
use serde_json::json;

use super::Show;
use super::compare::{Comparer, Kind};
use super::{lines, table};
use crate::cli::DemoArgs;
use crate::report;
use crate::say::say;

/// Compares both sides and prints the table; whether nothing differs and all went well.
pub(super) async fn close(show: &Show, args: &DemoArgs) -> anyhow::Result<bool> {
    let plan = &show.plan;
    let comparison = plan.comparer.compare(&show.admin, plan.layer, &show.waiting).await?;
    say!();
    show.table.print();
    say!();
    let waiting = lines_of(&show.waiting);
    lines::list("waits for a person", waiting.iter());
    lines::list("differs", comparison.differences.iter());
    let differences = match comparison.differences.len() {
        0 => "no difference".to_owned(),
        1 => "1 difference".to_owned(),
        several => format!("{} differences", HumanCount(several as u64)),
    };
    let told = format!(
        "{} records on the map, {} matters. Compared: {}: {differences}.",
        HumanCount(comparison.records as u64),
        HumanCount(comparison.matters as u64),
        comparison.told(),
    );
    say!("{}", lines::wrapped(&told));
    say!("  It took {:.0} seconds.", show.began.elapsed().as_secs_f64());
    if !show.went_well {
        say!("  Not everything went well: see above.");
    }
    if let Some(file) = &args.json {
        let calls = show.admin.calls().await?;
        let json = json!({
            "records": comparison.records,
            "matters": comparison.matters,
            "brought": show.brought,
            "compared": comparison.compared.values,
            "compared_of": comparison.compared,
            "differences": comparison.differences.len(),
            "differs": comparison.differences,
            "waiting": waiting,
            "warnings": plan.warnings,
            "calls": table::calls_json(&calls),
            "phases": show.table.json(),
            "afterwards": show.afterwards,
            "seconds": show.began.elapsed().as_secs_f64().round(),
        });
        std::fs::write(file, format!("{json:#}\n"))
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(comparison.differences.is_empty() && show.went_well)
}

/// Says where everything is, and what to try.
pub(super) async fn say_where(show: &Show, args: &DemoArgs) -> anyhow::Result<()> {
    let (sandbox, layer, comparer) = (show.stage.sandbox.url(), show.plan.layer, &show.plan.comparer);
    let is_free = |pair: &&super::compare::Pair| pair.both_ways && pair.kind == Kind::Plain;
    let field = comparer.pairs.iter().find(is_free).map_or("", |pair| &pair.gis);
    let config = std::path::absolute(args.config.as_deref().unwrap_or(&show.plan.config.path))?;
    let picture = show.picture().await?;
    say!("\nIt stays up until Ctrl-C.");
    say!("Clio's connection: {}", show.stage.page);
    let cases = comparer.cases(&picture);
    let Some(case) = cases.first() else { return Ok(()) };
    say!("Change a record of the map as a person would:");
    say!("  curl -X PATCH {sandbox}admin/gis/layers/{layer}/features/{} \\", case.id);
    let edit = json!({"attributes": {field: "by hand"}});
    say!("    -H 'content-type: application/json' -d {}", quoted(&edit.to_string()));
    say!("and carry it over, then look at its matter:");
    say!("  NATS_URL={} \\", show.stage.office.nats.nats_url);
    let folder = quoted(&config.display().to_string());
    say!("    DATABRIDGE_CONFIG={folder} {} sync all", quoted(&this_command()));
    say!(
        "  curl -s {sandbox}admin/clio/matters | python3 -c {}",
        quoted(&printing_of_matter(comparer, case.row))
    );
    Ok(())
}

/// What waits for a person, one line each, the same told by several runs once.
fn lines_of(parked: &[Parked]) -> BTreeSet<String> {
    let mut distinct: Vec<&Parked> = Vec::new();
    for parked in parked {
        if !distinct.contains(&parked) {
            distinct.push(parked);
        }
    }
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for parked in distinct {
        *lines.entry(report::parked(parked)).or_default() += 1;
    }
    let told = lines.into_iter().map(|(line, records)| match records {
        1 => line,
        several => format!("{line} ({several} records)"),
    });
    told.collect()
}

/// A line of Python that prints the matter of a row, out of all of them.
fn printing_of_matter(comparer: &Comparer, row: &GisFeature) -> String {
    format!(
        "import json, sys; [print(json.dumps(matter, indent=2)) for matter in json.load(sys.stdin) \
         if (matter[\"custom_fields\"].get({}) or \"\").strip() == {}]",
        json!(comparer.clio_key),
        json!(comparer.key_of(row))
    )
}

/// A word as a shell takes it, in quotes where it needs them.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// This program, so that it can be called from any folder.
fn this_command() -> String {
    std::env::current_exe().unwrap_or_else(|_| "databridge".into()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_for_the_shell_is_quoted_where_it_has_to_be() {
        assert_eq!(quoted("/a/b-c_1.toml"), "/a/b-c_1.toml");
        assert_eq!(quoted("/my config"), "'/my config'");
        assert_eq!(quoted("Ada's"), r"'Ada'\''s'");
    }

    #[test]
    fn what_waits_is_told_once_for_all_runs_and_counts_its_records() {
        let parked = |id: &str| Parked {
            system: "gis".parse().unwrap(),
            collection: "trees".parse().unwrap(),
            id: Some(id.to_owned()),
            key: databridge_model::Key::parse("T-5"),
            field: None,
            reason: "2 records have the key".to_owned(),
        };
        let lines = lines_of(&[parked("5"), parked("6"), parked("5"), parked("6")]);
        assert_eq!(
            lines.into_iter().collect::<Vec<_>>(),
            ["gis.trees T-5: 2 records have the key (2 records)"]
        );
    }
}
