//! The command line: what to run, and what is wrong with what was typed.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use lexopt::{
    Arg::{Long, Short, Value},
    ValueExt as _,
};

use crate::app::GROUPS;

const HELP: &str = "\
A library of web cards: the example application of domain-events.

Usage: library [web | worker | demo] [options]

  (nothing)   serve the HTTP API and run all handlers, in one process
  web         serve the HTTP API only
  worker      run handlers only
  demo        play every scenario on a fresh database and check the outcome

Options:
  --listen ADDRESS    where to serve HTTP (default: 127.0.0.1:8080)
  --database PATH     the SQLite file, made if it is missing (default: library.db)
  --memory            a database that is gone afterwards
  --group NAME        run the handlers of this group; can be given several times (default: all groups)
                      analytics, feeds, notifications, recommendations, search
  -h, --help          this text
  -V, --version       the version";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve until told to stop.
    Serve(Options),
    /// Play the scenarios.
    Demo,
}

/// How to serve.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to serve HTTP; `None` for a worker.
    pub listen: Option<SocketAddr>,
    /// The groups to run; `None` for a web process.
    pub groups: Option<Vec<String>>,
    /// The SQLite file; `None` for one that is gone afterwards.
    pub database: Option<PathBuf>,
}

/// What came out of the arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    Run(Command),
    Print(String),
}

impl Command {
    /// Reads the arguments, the program's name first.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, String> {
        let mut parser = lexopt::Parser::from_iter(arguments);
        let (mut word, mut listen, mut database, mut memory, mut groups) = (None, None, None, false, Vec::new());
        while let Some(argument) = parser.next().map_err(text)? {
            match argument {
                Short('h') | Long("help") => return Ok(Parsed::Print(HELP.to_owned())),
                Short('V') | Long("version") => {
                    return Ok(Parsed::Print(concat!("library ", env!("CARGO_PKG_VERSION")).to_owned()));
                }
                Long("listen") => listen = Some(address(&parser.value().and_then(|v| v.string()).map_err(text)?)?),
                Long("database") => database = Some(PathBuf::from(parser.value().map_err(text)?)),
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
            "demo" => return Ok(Parsed::Run(Command::Demo)),
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
        if memory && !(web && worker) {
            return Err("`--memory` is for web and worker in one process: no other can see that database".to_owned());
        }
        let groups = if groups.is_empty() { GROUPS.map(str::to_owned).to_vec() } else { groups };
        Ok(Parsed::Run(Command::Serve(Options {
            listen: web.then(|| listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)))),
            groups: worker.then_some(groups),
            database: (!memory).then(|| database.unwrap_or_else(|| PathBuf::from("library.db"))),
        })))
    }
}

fn address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| format!("`--listen {value}`: expected an address and a port, like `127.0.0.1:8080`"))
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
        Command::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn without_arguments_web_and_worker_run_together() {
        let Ok(Parsed::Run(Command::Serve(options))) = parse("library") else { panic!("expected to serve") };
        assert_eq!(options.listen, Some(SocketAddr::from(([127, 0, 0, 1], 8080))));
        assert_eq!(options.groups, Some(GROUPS.map(str::to_owned).to_vec()));
        assert_eq!(options.database, Some(PathBuf::from("library.db")));
    }

    #[test]
    fn a_worker_runs_the_groups_it_is_given() {
        let parsed = parse("library worker --group feeds --group=search --database /tmp/x.db");
        let Ok(Parsed::Run(Command::Serve(options))) = parsed else { panic!("expected to serve") };
        assert_eq!(options.listen, None);
        assert_eq!(options.groups, Some(vec!["feeds".to_owned(), "search".to_owned()]));
        assert_eq!(options.database, Some(PathBuf::from("/tmp/x.db")));
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
