//! The README shows what is there: its quickstart is the example's code, and the example does what the README says.
#![expect(clippy::unwrap_used, reason = "a test that can't read its files has failed")]

use std::{env, fs, path::Path, process::Command};

use domain_events::transport::{MemoryTransport, Transport, capability_table, connect};

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
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(["run", "-q", "-p", "quickstart"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "rust-book was added to a library\n");
    assert!(readme.contains(&format!("It prints `{}`", printed.trim_end())));
}

/// One address for each backend that is listed.
const ADDRESSES: [&str; 6] = [
    "redis://localhost",
    "redis+pubsub://localhost",
    "nats://localhost",
    "nats+core://localhost",
    "amqp://localhost",
    "kafka://localhost",
];

#[test]
fn the_readme_shows_what_each_transport_can_do() {
    const BEGIN: &str = "<!-- written by tests/readme.rs: what transports can do -->\n";
    const END: &str = "<!-- end -->\n";
    let remote = ADDRESSES.map(|address| connect(address).unwrap().capabilities());
    let table = capability_table([MemoryTransport::new().capabilities()].into_iter().chain(remote));
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has a place for the table");
    let (shown, after) = rest.split_once(END).expect("the table's place ends");
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        shown, table,
        "README.md differs; UPDATE_SNAPSHOTS=1 cargo test -p domain-events-tests --test readme writes it"
    );
}
