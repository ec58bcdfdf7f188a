//! What the environment says: where the database is, which broker carries events, and where the other processes are.

use std::{env, ffi::OsString, path::PathBuf};

use crate::{broker::Broker, database::Place, peer::Peer};

/// The variables that count, as they are set.
#[derive(Debug, Default)]
pub struct Environment {
    pub database_url: Option<OsString>,
    pub transport: Option<OsString>,
    pub web: Option<OsString>,
    pub workers: Option<OsString>,
}

impl Environment {
    /// This process's.
    pub fn of_process() -> Self {
        Self {
            database_url: env::var_os("DATABASE_URL"),
            transport: env::var_os("EVENTS_TRANSPORT"),
            web: env::var_os("LIBRARY_WEB"),
            workers: env::var_os("LIBRARY_WORKERS"),
        }
    }

    /// Where the database is if no option says so.
    pub(super) fn place(&self, otherwise: &str) -> Result<Place, String> {
        let Some(url) = text("DATABASE_URL", &self.database_url)? else {
            return Ok(Place::File(PathBuf::from(otherwise)));
        };
        Place::at(url).map_err(|problem| format!("`DATABASE_URL` {problem}"))
    }

    /// The broker, if one is between web and workers.
    pub(super) fn broker(&self) -> Result<Option<Broker>, String> {
        Ok(text("EVENTS_TRANSPORT", &self.transport)?.map(Broker::at))
    }

    /// Where a worker on a transport finds the web process.
    pub(super) fn web(&self) -> Result<Peer, String> {
        let Some(web) = text("LIBRARY_WEB", &self.web)? else {
            let message = "a worker on a transport shares no database with the web process and has to ask it who follows \
                           whom: set `LIBRARY_WEB=http://host:port` to where that serves";
            return Err(message.to_owned());
        };
        web.parse().map_err(|problem| format!("`LIBRARY_WEB` {problem}"))
    }

    /// Where a web process on a transport finds the workers; none if nobody says.
    pub(super) fn workers(&self) -> Result<Vec<Peer>, String> {
        let workers = text("LIBRARY_WORKERS", &self.workers)?.unwrap_or_default();
        let named = workers.split(',').map(str::trim).filter(|worker| !worker.is_empty());
        named.map(|worker| worker.parse().map_err(|problem| format!("`LIBRARY_WORKERS` {problem}"))).collect()
    }
}

fn text(name: &str, value: &Option<OsString>) -> Result<Option<String>, String> {
    let Some(value) = value else { return Ok(None) };
    value.to_str().map(|text| Some(text.to_owned())).ok_or_else(|| format!("`{name}` is not a text in UTF-8"))
}
