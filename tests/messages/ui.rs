//! What the compiler says: one folder a rule, one file a case; `ok_*.rs` compile and run, all others fail with the
//! message beside them. `TRYBUILD=overwrite` writes the messages anew; read them before you commit.

#[test]
fn every_wrong_spelling_has_its_message_and_every_right_one_compiles() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/*/ok_*.rs");
    cases.compile_fail("ui/*/[!o]*.rs");
    cases.compile_fail("ui/*/o[!k]*.rs");
}
