//! docs/ORIGINAL.md and docs/TRAPS.md name the test that holds each behaviour.

use std::collections::BTreeSet;
use std::path::Path;

use it::town::project;

#[test]
fn each_test_that_the_page_on_the_original_names_is_there() -> anyhow::Result<()> {
    let page = std::fs::read_to_string(project().join("docs/ORIGINAL.md"))?;
    let names: BTreeSet<&str> = page
        .split('`')
        .filter(|it| {
            it.len() > 15 && it.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        })
        .collect();
    assert!(names.len() > 50, "the page names {} tests", names.len());
    let mut code = String::new();
    for folder in ["common", "services", "tests"] {
        gather(&project().join(folder), &mut code)?;
    }
    let missing: Vec<_> = names.into_iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "there is no test of these names: {missing:?}");
    Ok(())
}

#[test]
fn each_test_that_the_page_on_traps_names_is_in_its_file() -> anyhow::Result<()> {
    let page = std::fs::read_to_string(project().join("docs/TRAPS.md"))?;
    let is_row = |line: &&str| line.starts_with("| ") && !line.ends_with(" the test |");
    let mut missing = Vec::new();
    let rows: Vec<_> = page.lines().filter(is_row).collect();
    assert!(rows.len() > 100, "the page has {} rows", rows.len());
    for row in rows {
        let named: Vec<_> = row.split('`').filter_map(|it| it.split_once(".rs::")).collect();
        assert!(!named.is_empty(), "no test stands in {row}");
        for (file, name) in named {
            let code = std::fs::read_to_string(project().join(file).with_extension("rs")).unwrap_or_default();
            let is_there = tests_in(&code).contains(&name);
            missing.extend((!is_there).then_some(format!("{file}.rs::{name}")));
        }
    }
    assert!(missing.is_empty(), "there is no test of these names: {missing:#?}");
    Ok(())
}

/// The names of the tests in some code.
fn tests_in(code: &str) -> BTreeSet<&str> {
    let (mut names, mut is_test) = (BTreeSet::new(), false);
    for line in code.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            continue;
        }
        let function = line.trim_start_matches("async ").strip_prefix("fn ").filter(|_| is_test);
        names.extend(function.and_then(|it| it.split('(').next()));
        is_test = false;
    }
    names
}

fn gather(folder: &Path, code: &mut String) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, code)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            code.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
