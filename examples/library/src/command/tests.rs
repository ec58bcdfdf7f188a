//! What can be typed, and what is said of each mistake.

use super::*;

fn parse(line: &str) -> Result<Parsed, String> {
    parse_with(line, None)
}

fn parse_with(line: &str, url: Option<&str>) -> Result<Parsed, String> {
    let environment = Environment { database_url: url.map(OsString::from), ..Environment::default() };
    Command::parse(line.split_whitespace().map(OsString::from), &environment)
}

#[test]
fn without_arguments_web_and_worker_run_together() {
    let Ok(Parsed::Run(Command::Serve(options))) = parse("library") else { panic!("expected to serve") };
    assert_eq!(options.listen, Some(SocketAddr::from(([127, 0, 0, 1], 8080))));
    assert_eq!(options.groups, Some(GROUPS.map(str::to_owned).to_vec()));
    assert_eq!(options.database, Place::File("library.db".into()));
}

#[test]
fn a_worker_runs_the_groups_it_is_given() {
    let parsed = parse("library worker --group feeds --group=search --database /tmp/x.db");
    let Ok(Parsed::Run(Command::Serve(options))) = parsed else { panic!("expected to serve") };
    assert_eq!(options.listen, None);
    assert_eq!(options.groups, Some(vec!["feeds".to_owned(), "search".to_owned()]));
    assert_eq!(options.database, Place::File("/tmp/x.db".into()));
}

#[test]
fn database_url_says_where_unless_an_option_does() {
    let place = |line: &str, url| match parse_with(line, Some(url)) {
        Ok(Parsed::Run(Command::Serve(options))) => options.database,
        Ok(Parsed::Run(Command::Drain(place) | Command::Demo(place, None))) => place,
        other => panic!("{line}: {other:?}"),
    };
    let url = "postgres://ada:secret@localhost/library";
    for line in ["library", "library web", "library worker", "library drain", "library demo"] {
        assert_eq!(place(line, url), Place::Postgres(url.to_owned()), "{line}");
        assert!(!format!("{:?}", place(line, url)).contains("secret"), "{line}");
    }
    assert_eq!(place("library", "postgresql:///library"), Place::Postgres("postgresql:///library".to_owned()));
    assert_eq!(place("library", "sqlite://x.db"), Place::Sqlite("sqlite://x.db".to_owned()));
    assert_eq!(place("library", "sqlite::memory:"), Place::Memory);
    assert_eq!(place("library --database x.db", url), Place::File("x.db".into()));
    assert_eq!(place("library --memory", "mysql://localhost"), Place::Memory);
}

#[test]
fn a_database_url_that_names_nothing_here_is_refused_without_a_word_of_it() {
    for (url, message) in [
        ("mysql://ada:secret@localhost/library", "`DATABASE_URL` is a `mysql:` URL; write `postgres://"),
        ("POSTGRES://ada:secret@localhost/library", "`DATABASE_URL` is a `POSTGRES:` URL"),
        ("ada:secret@localhost/library", "`DATABASE_URL` is not a URL; write `postgres://"),
        ("secret", "`DATABASE_URL` is not a URL"),
        ("", "`DATABASE_URL` is not a URL"),
    ] {
        for line in ["library", "library demo"] {
            let error = parse_with(line, Some(url)).expect_err(url);
            assert!(error.contains(message) && !error.contains("secret"), "{url}: {error}");
        }
    }
    let error = parse("library --database postgres://ada:secret@localhost/library").expect_err("a URL");
    assert!(error.contains("`DATABASE_URL=..`") && !error.contains("secret"), "{error}");
    let error = parse_with("library web", Some("sqlite::memory:")).expect_err("nobody else can see it");
    assert!(error.contains("is for web and worker in one process"), "{error}");
}

#[test]
fn every_mistake_is_named() {
    for (line, message) in [
        ("library fly", "there is no command `fly`"),
        ("library worker --group mail", "there is no group `mail`; the groups are: analytics, feeds"),
        ("library --listen 8080", "`--listen 8080`: expected an address and a port"),
        ("library worker --listen 127.0.0.1:1", "`worker` serves no HTTP"),
        ("library web --group feeds", "`web` runs no handlers"),
        ("library --memory --database x", "exclude each other"),
        ("library worker --memory", "`--memory` is for web and worker in one process"),
        ("library drain --group feeds", "`drain` runs all handlers"),
        ("library drain --memory", "`--memory` is for web and worker in one process"),
        ("library demo --memory", "`demo` takes no options"),
        ("library --colour", "--colour"),
        ("library --group", "missing argument for option '--group'"),
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.contains(message), "{line}: {error}");
    }
}

/// With a broker, and where the other processes are.
fn apart(line: &str, web: Option<&str>, workers: Option<&str>) -> Result<Box<Options>, String> {
    let environment = Environment {
        transport: Some("nats://ada:secret@localhost".into()),
        web: web.map(OsString::from),
        workers: workers.map(OsString::from),
        ..Environment::default()
    };
    match Command::parse(line.split_whitespace().map(OsString::from), &environment)? {
        Parsed::Run(Command::Serve(options)) => Ok(options),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn with_a_broker_a_worker_has_a_database_of_its_own_and_may_serve_what_it_keeps() {
    let options = apart("library worker --group feeds --listen 127.0.0.1:1", Some("http://web:80"), None);
    let options = options.expect("it is complete");
    assert_eq!((&options.database, options.listen.map(|at| at.port())), (&Place::File("worker.db".into()), Some(1)));
    let layout = &options.layout;
    assert!(!layout.has_library() && layout.keeps("feeds") && !layout.keeps("search"), "{layout:?}");
    assert!(!format!("{options:?}").contains("secret"), "{options:?}");
    assert_eq!(apart("library worker", Some("http://web"), None).expect("it is complete").listen, None);
}

#[test]
fn with_a_broker_web_has_the_library_and_asks_workers_for_the_rest() {
    let options = apart("library web", None, Some("http://a:1, http://b:2/")).expect("it is complete");
    assert_eq!(options.database, Place::File("library.db".into()));
    assert!(options.layout.has_library() && !options.layout.keeps("feeds"), "{:?}", options.layout);
    let Layout::Apart { workers, .. } = &options.layout else { panic!("expected to be apart") };
    assert_eq!(workers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["http://a:1", "http://b:2"]);
    let options = apart("library --group feeds", None, None).expect("it is complete");
    assert!(options.layout.has_library() && options.layout.keeps("feeds") && !options.layout.keeps("search"));
}

#[test]
fn with_a_broker_a_missing_or_wrong_neighbour_is_named_without_a_password() {
    for (line, web, workers, message) in [
        ("library worker", None, None, "set `LIBRARY_WEB=http://host:port`"),
        ("library worker", Some("web:8080"), None, "`LIBRARY_WEB` is not an address like `http://"),
        ("library worker", Some("http://ada:secret@web"), None, "`LIBRARY_WEB` is not an address like"),
        ("library worker", Some("https://web"), None, "`LIBRARY_WEB` is not an address like"),
        ("library web", None, Some("http://a,secret"), "`LIBRARY_WORKERS` is not an address like"),
        ("library web", None, Some("http://a/feeds"), "`LIBRARY_WORKERS` is not an address like"),
    ] {
        let error = apart(line, web, workers).expect_err(line);
        assert!(error.contains(message) && !error.contains("secret"), "{line}: {error}");
    }
}
