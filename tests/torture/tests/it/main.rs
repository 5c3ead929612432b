//! A short form of the torture.

use std::process::Command;

#[test]
fn a_dozen_kills_among_edits_and_faults_lose_and_double_nothing() {
    let torture = Command::new(env!("CARGO_BIN_EXE_torture"))
        .args(["--seed", "1", "--kills", "12", "--litigations", "20", "--compare-every", "6"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&torture.stdout);
    let errors = String::from_utf8_lossy(&torture.stderr);
    assert!(torture.status.success(), "{said}\n{errors}");
    assert!(said.contains("Nothing lost, nothing twice, nothing overwritten, and no secret"), "{said}");
}
