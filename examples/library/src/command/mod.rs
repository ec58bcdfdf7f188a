//! The command line: what to run, and what is wrong with what was typed.

mod environment;
mod help;
#[cfg(test)]
mod tests;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

pub use environment::Environment;
use help::HELP;

use lexopt::{
    Arg::{Long, Short, Value},
    ValueExt as _,
};

use crate::{app::GROUPS, broker::Broker, database::Place, layout::Layout};

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Serve until told to stop.
    Serve(Box<Options>),
    /// Handle what is in the log, then stop.
    Drain(Place),
    /// Play the scenarios; on PostgreSQL if this is where, and by a broker if there is one.
    Demo(Place, Option<Broker>),
}

/// How to serve.
#[derive(Debug)]
pub struct Options {
    /// Where to serve HTTP, if at all.
    pub listen: Option<SocketAddr>,
    /// The groups to run; `None` for a web process.
    pub groups: Option<Vec<String>>,
    /// Where its database is.
    pub database: Place,
    /// The broker that carries events; without one the log does.
    pub broker: Option<Broker>,
    /// What this process answers, and whom it asks for the rest.
    pub layout: Layout,
}

/// What came out of the arguments.
#[derive(Debug)]
pub enum Parsed {
    Run(Command),
    Print(String),
}

/// The arguments, taken apart.
#[derive(Default)]
struct Arguments {
    word: Option<String>,
    listen: Option<SocketAddr>,
    database: Option<PathBuf>,
    memory: bool,
    groups: Vec<String>,
}

impl Command {
    /// Reads the arguments, the program's name first, and what the environment says where they say nothing.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> Result<Parsed, String> {
        let mut parser = lexopt::Parser::from_iter(arguments);
        let mut given = Arguments::default();
        while let Some(argument) = parser.next().map_err(text)? {
            match argument {
                Short('h') | Long("help") => return Ok(Parsed::Print(HELP.to_owned())),
                Short('V') | Long("version") => {
                    return Ok(Parsed::Print(concat!("library ", env!("CARGO_PKG_VERSION")).to_owned()));
                }
                Long("listen") => {
                    given.listen = Some(address(&parser.value().and_then(|v| v.string()).map_err(text)?)?)
                }
                Long("database") => given.database = Some(file(parser.value().map_err(text)?)?),
                Long("memory") => given.memory = true,
                Long("group") => given.groups.push(group(parser.value().and_then(|v| v.string()).map_err(text)?)?),
                Value(value) if given.word.is_none() => given.word = Some(value.string().map_err(text)?),
                other => return Err(other.unexpected().to_string()),
            }
        }
        given.command(environment).map(Parsed::Run)
    }
}

impl Arguments {
    fn command(mut self, environment: &Environment) -> Result<Command, String> {
        match self.word.take().as_deref().unwrap_or("serve") {
            "serve" => self.serve(true, true, environment),
            "web" => self.serve(true, false, environment),
            "worker" => self.serve(false, true, environment),
            "drain" => self.drain(environment),
            "demo" => self.demo(environment),
            other => Err(format!("there is no command `{other}`; there are `web`, `worker`, `drain` and `demo`")),
        }
    }

    fn serve(self, web: bool, worker: bool, environment: &Environment) -> Result<Command, String> {
        let broker = environment.broker()?;
        if !web && self.listen.is_some() && broker.is_none() {
            let message = "`worker` serves no HTTP, so `--listen` has no place with it: without `EVENTS_TRANSPORT`, \
                           `web` has all that its handlers keep";
            return Err(message.to_owned());
        }
        if !worker && !self.groups.is_empty() {
            return Err("`web` runs no handlers, so `--group` has no place with it".to_owned());
        }
        let own = if web || broker.is_none() { "library.db" } else { "worker.db" };
        let database = self.place(web && worker, own, environment)?;
        let groups = if self.groups.is_empty() { GROUPS.map(str::to_owned).to_vec() } else { self.groups };
        let groups = worker.then_some(groups);
        let layout = match &broker {
            None => Layout::Together,
            Some(_) => Layout::Apart {
                groups: groups.clone().unwrap_or_default(),
                web: if web { None } else { Some(environment.web()?) },
                workers: if web { environment.workers()? } else { Vec::new() },
            },
        };
        let listen = self.listen.or(web.then_some(SocketAddr::from(([127, 0, 0, 1], 8080))));
        Ok(Command::Serve(Box::new(Options { listen, groups, database, broker, layout })))
    }

    fn drain(self, environment: &Environment) -> Result<Command, String> {
        if self.listen.is_some() || !self.groups.is_empty() {
            return Err("`drain` runs all handlers and serves no HTTP: it takes `--database` only".to_owned());
        }
        self.place(false, "library.db", environment).map(Command::Drain)
    }

    fn demo(self, environment: &Environment) -> Result<Command, String> {
        if self.listen.is_some() || self.database.is_some() || self.memory || !self.groups.is_empty() {
            return Err("`demo` takes no options: it serves on a free port, on a fresh database".to_owned());
        }
        Ok(Command::Demo(environment.place("library.db")?, environment.broker()?))
    }

    /// Where the database is; `alone` if no other process has to see it.
    fn place(&self, alone: bool, otherwise: &str, environment: &Environment) -> Result<Place, String> {
        if self.memory && self.database.is_some() {
            return Err("`--memory` and `--database` exclude each other".to_owned());
        }
        let database = match &self.database {
            Some(file) => Place::File(file.clone()),
            None if self.memory => Place::Memory,
            None => environment.place(otherwise)?,
        };
        if database == Place::Memory && !alone {
            return Err("`--memory` is for web and worker in one process: no other can see that database".to_owned());
        }
        Ok(database)
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

fn group(value: String) -> Result<String, String> {
    if GROUPS.contains(&value.as_str()) {
        return Ok(value);
    }
    Err(format!("there is no group `{value}`; the groups are: {}", GROUPS.join(", ")))
}

fn text(error: lexopt::Error) -> String {
    error.to_string()
}
