//! docs/ORIGINAL.md names the test that holds each behaviour.

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
