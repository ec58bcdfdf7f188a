//! Who may know whom: reads the sources and holds the table. Rooms stand in the order an event goes through them; a room
//! knows those before it, never those beside or behind it.
#![expect(clippy::unwrap_used, reason = "a test that can't read the sources has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const LEAVES: &[&str] = &["error", "clock", "config", "fault", "wake"];

/// What each room may name beside the leaves. Rooms that are not listed (the builder, the handle, the prelude) may name
/// everything.
const TABLE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("clock", &[]),
    ("config", &[]),
    ("fault", &[]),
    ("wake", &[]),
    ("event", &[]),
    ("aggregate", &["event"]),
    ("handler", &["event"]),
    ("store", &["event"]),
    ("work", &["aggregate", "event", "handler", "store"]),
    ("transport", &["event"]),
    ("processor", &["event", "handler", "store"]),
    ("relay", &["event", "handler", "store", "transport"]),
    ("consumer", &["event", "handler", "store", "transport"]),
    ("admin", &["event", "handler", "store"]),
];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The room a file is in: its folder below `src`, or its own name.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(sources()).unwrap();
    inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The code of a file without comments (and so without doc examples) and without its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms a piece of code names: what stands behind `crate::`, alone or at the top level of a group.
fn named(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    // `$crate::` in a macro is the user's way in, not ours.
    for (at, _) in code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with('$')) {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => rooms.insert(identifier(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (offset, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && c.is_alphabetic() => {
                            rooms.insert(identifier(&group[offset..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
                true
            }
        };
    }
    rooms.remove("");
    rooms
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn a_room_names_only_those_before_it() {
    let table: BTreeMap<_, _> = TABLE.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for path in files(&sources()) {
        let room = room(&path);
        let Some(allowed) = table.get(room.as_str()) else { continue };
        checked += 1;
        for other in named(&code(&path)) {
            // A type or macro from the crate's root is a way round the table as well: `Error` and `Result` are leaves.
            let is_leaf =
                LEAVES.contains(&other.as_str()) || ["Error", "ErrorKind", "Result"].contains(&other.as_str());
            if other != room && !is_leaf && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{} names `{other}`, which `{room}` may not know", path.display()));
            }
        }
    }
    assert!(checked > 40, "only {checked} files were found: has the tree moved?");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_shipped_room_names_the_test_kit() {
    for path in files(&sources()) {
        if !["testkit", "lib"].contains(&room(&path).as_str()) {
            assert!(!named(&code(&path)).contains("testkit"), "{} names the test kit", path.display());
        }
    }
}

#[test]
fn sql_stands_only_under_the_store_of_its_database() {
    for path in files(&sources()) {
        let inside = path.strip_prefix(sources()).unwrap().to_str().unwrap().to_owned();
        // The parameters `&mut SqliteConnection` and `&mut PgConnection` of a handler are types, not SQL, and so are the
        // transactions that `store/sql` chooses from.
        let may = ["store/postgres/", "store/sqlite/", "testkit/"].iter().any(|room| inside.starts_with(room))
            || ["work/transaction.rs", "store/sql/mod.rs"].contains(&inside.as_str());
        assert!(may || !code(&path).contains("sqlx::"), "{inside} talks to a database");
    }
}

#[test]
fn a_backend_names_no_other() {
    const BACKENDS: [(&str, &str); 3] =
        [("memory", "MemoryStore"), ("postgres", "PostgresStore"), ("sqlite", "SqliteStore")];
    // What chooses one of them knows them; they don't know it.
    let choosers = [("sql", "SqlStore")];
    for (backend, _) in BACKENDS {
        for path in files(&sources().join("store").join(backend)) {
            for (other, store) in BACKENDS.iter().chain(&choosers).filter(|(other, _)| *other != backend) {
                let code = code(&path);
                let names = code.contains(&format!("{other}::")) || code.contains(store);
                assert!(!names, "{} names the backend `{other}`", path.display());
            }
        }
    }
}

#[test]
fn macros_spell_the_private_path_in_one_place() {
    let macros = Path::new(env!("CARGO_MANIFEST_DIR")).join("../macros/src");
    let spelling: Vec<_> = files(&macros)
        .into_iter()
        .filter(|path| !path.to_str().unwrap().contains("snapshots"))
        .filter(|path| code(path).contains("__private"))
        .collect();
    assert!(spelling.iter().all(|path| path.ends_with("paths.rs")), "{spelling:?}");
    assert_eq!(spelling.len(), 1, "has `paths.rs` moved?");
}

#[test]
fn files_stay_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["runtime/src", "macros/src", "examples"] {
        for path in files(&root.join(folder)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 400, "{} has {lines} lines: split it by idea", path.display());
        }
    }
}

#[test]
fn the_reader_of_use_lines_sees_groups_and_single_paths() {
    let code = "use crate::{\n    error::{Error, Result},\n    store::{Store, record::Lease},\n    wake,\n};\nlet x = crate::event::Id;";
    let expected = ["error", "event", "store", "wake"].map(str::to_owned);
    assert_eq!(named(code), BTreeSet::from(expected));
}
