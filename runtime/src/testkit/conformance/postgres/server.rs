//! A PostgreSQL server of the tests' own: on a free port, in a folder for temporary files, gone with its process.
//!
//! Nothing but the standard library in here: the store's unit tests use this file too, without the test kit.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::process::{PATIENCE, dismiss, folder_of, free_port, kept, log_of, run, unprivileged};

/// What to do where there is no server.
const INSTALL: &str = "PostgreSQL's server is not installed; on Debian and Ubuntu: \
                       apt-get install -y --no-install-recommends postgresql";

/// How it is stopped: at once, open connections are cut, the data is written down.
const STOP: &str = "INT";

/// What a server is for, and set up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Many tests: it is fast, and would not survive a crash of the machine.
    Speed,
    /// A test that does something to it: small files of the log, so that a limit for all files can be small.
    Faults,
    /// Measurements: durable, sized so that checkpoints don't come in between.
    Measuring,
}

/// A running server. Dropped, it is stopped and its data removed.
#[derive(Debug)]
pub struct PostgresServer {
    folder: PathBuf,
    port: u16,
    purpose: Purpose,
    keeper: Mutex<Option<Child>>,
}

impl PostgresServer {
    /// The server that all tests of this process share; each test makes a database or schema of its own.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed, or does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Purpose::Speed))
    }

    /// A server of its own for a test that does something to it.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed, or does not start.
    #[must_use]
    pub fn private() -> Self {
        Self::start(Purpose::Faults)
    }

    /// A server of its own to measure with: every commit waits for the disk (`fsync` and `synchronous_commit` are on), as
    /// it does in production.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed, or does not start.
    #[must_use]
    pub fn measured() -> Self {
        Self::start(Purpose::Measuring)
    }

    fn start(purpose: Purpose) -> Self {
        let folder = folder_of("postgres");
        let data = folder.join("data");
        let mut initdb = unprivileged(&program("initdb"), &folder);
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        if purpose != Purpose::Measuring {
            initdb.arg("--wal-segsize=1");
        }
        run(&mut initdb);
        Self::on_free_port(folder, purpose)
    }

    fn on_free_port(folder: PathBuf, purpose: Purpose) -> Self {
        let mut server = Self { folder, port: 0, purpose, keeper: Mutex::new(None) };
        // Another process may take the port in between.
        for _ in 0..5 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("the PostgreSQL server does not start; its log:\n{}", server.log());
    }

    /// A standby that follows this server.
    ///
    /// # Panics
    ///
    /// If this one does not let itself be copied, or the copy does not start.
    #[must_use]
    pub fn standby(&self) -> Self {
        let folder = folder_of("postgres");
        let mut copy = unprivileged(&program("pg_basebackup"), &folder);
        copy.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"]);
        run(copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "-D"]).arg(folder.join("data")));
        Self::on_free_port(folder, self.purpose)
    }

    /// Makes this standby the primary, under the address of the one that is gone.
    ///
    /// # Panics
    ///
    /// If it is no standby, or does not start under the other address.
    #[must_use]
    pub fn take_over(mut self, gone: &Self) -> Self {
        run(unprivileged(&program("pg_ctl"), &self.folder).args(["promote", "-w", "-D"]).arg(self.folder.join("data")));
        self.stop("keep");
        self.port = gone.port;
        self.restart();
        self
    }

    /// Starts it again after [`kill`](Self::kill), on the same data and port.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&self) {
        // What the killed one held is free a moment later.
        let begun = Instant::now();
        while !self.try_start() {
            assert!(begun.elapsed() < PATIENCE, "the PostgreSQL server does not start again; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn try_start(&self) -> bool {
        let mut command = kept(&self.folder, STOP, &program("postgres"));
        command.arg("-D").arg(self.folder.join("data")).args(["-p", &self.port.to_string()]);
        let mut set = vec!["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"];
        set.extend(match self.purpose {
            Purpose::Speed => &["fsync=off", "full_page_writes=off"][..],
            Purpose::Faults => &[],
            Purpose::Measuring => &["fsync=on", "synchronous_commit=on", "max_wal_size=4GB", "shared_buffers=256MB"],
        });
        set.iter().for_each(|setting| {
            command.args(["-c", setting]);
        });
        *self.keeper() = Some(command.spawn().expect("a shell can be started"));
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let ready = Command::new(program("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .is_ok_and(|status| status.success());
            // Not another server on the same port.
            if ready && self.pid().is_some() {
                return true;
            }
            if begun.elapsed() > Duration::from_secs(1) && self.pid().is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.stop("keep");
        false
    }

    /// The URL of a database on it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs one of PostgreSQL's programs against it; the database is the last argument.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn client(&self, name: &str, arguments: &[&str]) {
        run(Command::new(program(name))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"])
            .args(arguments));
    }

    /// `SIGKILL` for the server: nothing is written any more, no connection is closed politely.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill(&self) {
        let pid = self.pid().expect("the server is running").to_string();
        run(Command::new("kill").args(["-9", &pid]));
        self.stop("keep");
    }

    /// From now on no file of the server can grow beyond so many bytes, as if its disk were full; `None`: without limit.
    /// It must be 1 MiB at least: a server that can't write its log ends.
    ///
    /// # Panics
    ///
    /// If it is not running, or `prlimit` (of util-linux) is missing.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let pid = self.pid().expect("the server is running");
        // Half a page more: what is written in part is how a disk fills up.
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| (bytes + 4_096).to_string());
        // As whom the server runs: the processes of others are not to be limited.
        let set = |pid: u32| {
            let mut prlimit = unprivileged(Path::new("prlimit"), &self.folder);
            prlimit.args(["--pid", &pid.to_string(), &format!("--fsize={limit}:")]).output()
        };
        let output = set(pid).expect("`prlimit` can be started");
        assert!(output.status.success(), "prlimit: {}", String::from_utf8_lossy(&output.stderr));
        // Those that are there already; one may end meanwhile.
        for child in children(pid) {
            let _ = set(child);
        }
    }

    /// Its process id, if it runs.
    fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid: u32 = lines.next()?.parse().ok()?;
        let ours = lines.nth(2)?.parse() == Ok(self.port) && Path::new(&format!("/proc/{pid}")).exists();
        ours.then_some(pid)
    }

    fn stop(&self, word: &str) {
        if let Some(keeper) = self.keeper().take() {
            dismiss(keeper, word);
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Child>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> String {
        log_of(&self.folder)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop("remove");
        // It stays behind where the server was killed before.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // `pid (name) state ppid ..`; the name may hold anything.
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        behind_name.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let entries = fs::read_dir("/proc").expect("processes can be listed").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

/// A program of PostgreSQL: on the path, or where Debian puts the server's.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin").join(name)).collect())
        .unwrap_or_default();
    installed.sort();
    // All of one version, the newest: `initdb` and `postgres` must fit.
    let found = installed.into_iter().rev().chain(on_path).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("`{name}` was not found. {INSTALL}"))
}
