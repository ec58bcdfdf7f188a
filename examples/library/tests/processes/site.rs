//! Web and workers on a broker, each with a database of its own, where the others find them whenever they run.

use std::{fmt::Write as _, net::TcpListener, path::PathBuf, time::SystemTime};

use tempfile::TempDir;

use crate::program::{Api, Program, wait_until};

/// Where a process runs: its port and its database stay when it is started again.
pub(crate) struct Site {
    folder: TempDir,
    web: u16,
    workers: Vec<u16>,
}

impl Site {
    /// With places for so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        let mut ports = free_ports(workers + 1);
        Self { folder: tempfile::tempdir().expect("a folder"), web: ports.remove(0), workers: ports }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The web process; without a broker it keeps its events for itself.
    pub(crate) fn web(&self, broker: Option<&str>) -> Program {
        let mut workers = String::new();
        for port in &self.workers {
            write!(workers, "http://127.0.0.1:{port},").expect("text");
        }
        let mut environment = vec![("LIBRARY_WORKERS", workers.as_str())];
        environment.extend(broker.map(|broker| ("EVENTS_TRANSPORT", broker)));
        let (listen, database) = (format!("127.0.0.1:{}", self.web), self.file("library.db"));
        let arguments = ["web", "--listen", &listen, "--database", database.to_str().expect("a path")];
        let web = Program::start_in(environment, &arguments);
        if broker.is_some() {
            let api = Api::of(&web);
            wait_until("web has reached the broker", || api.get("/health")["relay"]["connected"] == true);
        }
        web
    }

    /// The worker at this place, with this file as its database, once its handlers have reached the broker.
    pub(crate) fn worker(&self, place: usize, database: &str, groups: &[&str], broker: &str) -> Program {
        let environment =
            [("EVENTS_TRANSPORT", broker.to_owned()), ("LIBRARY_WEB", format!("http://127.0.0.1:{}", self.web))];
        let (listen, database) = (format!("127.0.0.1:{}", self.workers[place]), self.file(database));
        let mut arguments = vec!["worker", "--listen", &listen, "--database", database.to_str().expect("a path")];
        arguments.extend(groups.iter().flat_map(|group| ["--group", *group]));
        let worker = Program::start_in(environment, &arguments);
        let api = Api::of(&worker);
        wait_until("the worker has reached the broker", || {
            let health = api.get("/health");
            let handlers = health["consumer"].as_array().expect("a list");
            !handlers.is_empty() && handlers.iter().all(|handler| handler["connected"] == true)
        });
        worker
    }
}

/// Ports that nobody has, below those that the system gives to outgoing connections.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").subsec_nanos();
    let ports = (0..12_000_u32).map(|step| 20_000 + ((now / 1_000 + step * 7) % 12_000) as u16);
    // Held together, so that they differ.
    let held = ports.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).take(count).collect::<Vec<_>>();
    assert_eq!(held.len(), count, "free ports");
    held.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}
