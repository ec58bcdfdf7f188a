//! The README shows what is there: its quickstart is the example's code, and the example does what the README says.
#![expect(clippy::unwrap_used, reason = "a test that can't read its files has failed")]

use std::{fs, path::Path, process::Command};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn the_readme_shows_the_quickstart_as_it_is() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let code = fs::read_to_string(root().join("examples/quickstart/src/main.rs")).unwrap();
    let shown = format!("```rust,standalone_crate\n{}\n```", code.trim_end());
    assert!(
        readme.contains(&shown),
        "README.md does not show examples/quickstart/src/main.rs as it is; it is:\n{code}"
    );
    assert!(code.lines().count() <= 30, "the quickstart has {} lines; 30 are promised", code.lines().count());
}

#[test]
fn the_quickstart_prints_what_the_readme_says() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(["run", "-q", "-p", "quickstart"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "rust-book was added to a library\n");
    assert!(readme.contains(&format!("It prints `{}`", printed.trim_end())));
}
