//! The command line: what to run, and what is wrong with what was typed.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use lexopt::{
    Arg::{Long, Short, Value},
    ValueExt as _,
};

use crate::{app::GROUPS, database::Place};

const HELP: &str = "\
A library of web cards: the example application of domain-events.

Usage: library [web | worker | demo] [options]

  (nothing)   serve the HTTP API and run all handlers, in one process
  web         serve the HTTP API only
  worker      run handlers only
  demo        play every scenario on a fresh database and check the outcome; what is there already is left alone

Options:
  --listen ADDRESS    where to serve HTTP (default: 127.0.0.1:8080)
  --database PATH     a SQLite file, made if it is missing (default: DATABASE_URL, or else library.db)
  --memory            a database that is gone afterwards
  --group NAME        run the handlers of this group; can be given several times (default: all groups)
                      analytics, feeds, notifications, recommendations, search
  -h, --help          this text
  -V, --version       the version

Environment:
  DATABASE_URL        the database: postgres://user:password@host/database (PostgreSQL 13 or newer), for any number
                      of processes on any number of machines, or sqlite://path/to/file.db. The tables are made if they
                      are missing. `demo` plays in a schema of its own there, which it drops at the end.
  RUST_LOG            what is logged, to stderr: info (the default), domain_events=debug, ...";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve until told to stop.
    Serve(Options),
    /// Play the scenarios; on PostgreSQL if this is where.
    Demo(Place),
}

/// How to serve.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to serve HTTP; `None` for a worker.
    pub listen: Option<SocketAddr>,
    /// The groups to run; `None` for a web process.
    pub groups: Option<Vec<String>>,
    /// Where its database is.
    pub database: Place,
}

/// What came out of the arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    Run(Command),
    Print(String),
}

impl Command {
    /// Reads the arguments, the program's name first, and what `DATABASE_URL` says where they say nothing.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>, url: Option<OsString>) -> Result<Parsed, String> {
        let mut parser = lexopt::Parser::from_iter(arguments);
        let (mut word, mut listen, mut database, mut memory, mut groups) = (None, None, None, false, Vec::new());
        while let Some(argument) = parser.next().map_err(text)? {
            match argument {
                Short('h') | Long("help") => return Ok(Parsed::Print(HELP.to_owned())),
                Short('V') | Long("version") => {
                    return Ok(Parsed::Print(concat!("library ", env!("CARGO_PKG_VERSION")).to_owned()));
                }
                Long("listen") => listen = Some(address(&parser.value().and_then(|v| v.string()).map_err(text)?)?),
                Long("database") => database = Some(file(parser.value().map_err(text)?)?),
                Long("memory") => memory = true,
                Long("group") => groups.push(group(parser.value().and_then(|v| v.string()).map_err(text)?)?),
                Value(value) if word.is_none() => word = Some(value.string().map_err(text)?),
                other => return Err(other.unexpected().to_string()),
            }
        }
        let word = word.as_deref().unwrap_or("serve");
        let (web, worker) = match word {
            "serve" => (true, true),
            "web" => (true, false),
            "worker" => (false, true),
            "demo" if listen.is_some() || database.is_some() || memory || !groups.is_empty() => {
                return Err("`demo` takes no options: it serves on a free port, on a fresh database".to_owned());
            }
            "demo" => return Ok(Parsed::Run(Command::Demo(default_place(url)?))),
            other => return Err(format!("there is no command `{other}`; there are `web`, `worker` and `demo`")),
        };
        if !web && listen.is_some() {
            return Err("`worker` serves no HTTP, so `--listen` has no place with it".to_owned());
        }
        if !worker && !groups.is_empty() {
            return Err("`web` runs no handlers, so `--group` has no place with it".to_owned());
        }
        if memory && database.is_some() {
            return Err("`--memory` and `--database` exclude each other".to_owned());
        }
        let database = match database {
            Some(file) => Place::File(file),
            None if memory => Place::Memory,
            None => default_place(url)?,
        };
        if database == Place::Memory && !(web && worker) {
            return Err("`--memory` is for web and worker in one process: no other can see that database".to_owned());
        }
        let groups = if groups.is_empty() { GROUPS.map(str::to_owned).to_vec() } else { groups };
        Ok(Parsed::Run(Command::Serve(Options {
            listen: web.then(|| listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)))),
            groups: worker.then_some(groups),
            database,
        })))
    }
}

fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| format!("`--listen {value}`: expected an address and a port, like `127.0.0.1:8080`"))
}

/// The path of a SQLite file.
fn file(value: OsString) -> Result<PathBuf, String> {
    if value.to_string_lossy().contains("://") {
        // Not the value itself: there may be a password in it.
        return Err(
            "`--database` takes the path of a SQLite file; a URL goes into the environment, `DATABASE_URL=..`, \
                    where other users of this machine can't read its password"
                .to_owned(),
        );
    }
    Ok(PathBuf::from(value))
}

/// Where the database is if no option says so.
fn default_place(url: Option<OsString>) -> Result<Place, String> {
    let Some(url) = url else { return Ok(Place::File(PathBuf::from("library.db"))) };
    let url = url.into_string().map_err(|_| "`DATABASE_URL` is not a text in UTF-8".to_owned())?;
    Place::at(url).map_err(|problem| format!("`DATABASE_URL` {problem}"))
}

fn group(value: String) -> Result<String, String> {
    if GROUPS.contains(&value.as_str()) {
        return Ok(value);
    }
    Err(format!("there is no group `{value}`; the groups are: {}", GROUPS.join(", ")))
}

fn text(error: lexopt::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Parsed, String> {
        parse_with(line, None)
    }

    fn parse_with(line: &str, url: Option<&str>) -> Result<Parsed, String> {
        Command::parse(line.split_whitespace().map(OsString::from), url.map(OsString::from))
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
            Ok(Parsed::Run(Command::Demo(place))) => place,
            other => panic!("{line}: {other:?}"),
        };
        let url = "postgres://ada:secret@localhost/library";
        for line in ["library", "library web", "library worker", "library demo"] {
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
            ("library demo --memory", "`demo` takes no options"),
            ("library --colour", "--colour"),
            ("library --group", "missing argument for option '--group'"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(message), "{line}: {error}");
        }
    }
}
