//! What the compiler says: one folder a rule, one file a case; `ok_*.rs` compile and run, all others fail with the
//! message beside them. `TRYBUILD=overwrite` writes the messages anew; read them before you commit.
//!
//! Two tests, since those that fail are all checked in one go where none is to be built and run.

#[test]
fn every_wrong_spelling_has_its_message() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/*/[!o]*.rs");
    cases.compile_fail("ui/*/o[!k]*.rs");
}

#[test]
fn every_right_spelling_compiles_and_runs() {
    trybuild::TestCases::new().pass("ui/*/ok_*.rs");
}
