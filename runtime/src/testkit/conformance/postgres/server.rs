//! A PostgreSQL server of the tests' own: on a free port, in a folder for temporary files, gone with its process.
//!
//! Nothing but the standard library in here: the store's unit tests use this file too, without the test kit.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

/// What to do where there is no server.
const INSTALL: &str = "PostgreSQL's server is not installed; on Debian and Ubuntu: \
                       apt-get install -y --no-install-recommends postgresql";

/// The user `nobody`: the server refuses to run as root.
const NOBODY: u32 = 65_534;

/// How long the server may take to answer: generous, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the server, and stops it when told to or when the test process is gone, however it ended: then its end of the
/// pipe is closed. Removes the folder unless the word is `keep`.
const KEEPER: &str = r#"folder=$1; shift; "$@" & pid=$!; read -r word; kill -INT $pid 2>/dev/null; wait $pid
if [ "$word" != keep ]; then cd /; rm -rf "$folder"; fi"#;

/// A running server. Dropped, it is stopped and its data removed.
#[derive(Debug)]
pub struct PostgresServer {
    folder: PathBuf,
    port: u16,
    /// Survives a crash of the machine, as a server in production does; else it is faster.
    durable: bool,
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
        SHARED.get_or_init(|| Self::start(false))
    }

    /// A server of its own for a test that does something to it.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed, or does not start.
    #[must_use]
    pub fn private() -> Self {
        Self::start(true)
    }

    fn start(durable: bool) -> Self {
        let folder =
            std::env::temp_dir().join(format!("domain-events-postgres-{}-{}", std::process::id(), free_port()));
        fs::create_dir_all(&folder).expect("a folder can be made for temporary files");
        if is_root(&folder) {
            chown(&folder, Some(NOBODY), Some(NOBODY)).expect("root can give a folder away");
        }
        let data = folder.join("data");
        let mut initdb = unprivileged(&program("initdb"), &folder);
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        run(&mut initdb);
        let server = Self { folder, port: 0, durable, keeper: Mutex::new(None) };
        // Another process may take the port in between.
        for _ in 0..5 {
            let server = Self { port: free_port(), folder: server.folder.clone(), durable, keeper: Mutex::new(None) };
            if server.try_start() {
                return server;
            }
        }
        panic!("the PostgreSQL server does not start; its log:\n{}", server.log());
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
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let log = log.expect("the server's log can be written");
        let mut command = unprivileged(Path::new("/bin/sh"), &self.folder);
        command.args(["-c", KEEPER, "sh"]).arg(&self.folder).arg(program("postgres")).arg("-D");
        command.arg(self.folder.join("data")).args(["-p", &self.port.to_string()]);
        let mut set = vec!["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"];
        if !self.durable {
            set.extend(["fsync=off", "full_page_writes=off"]);
        }
        set.iter().for_each(|setting| {
            command.args(["-c", setting]);
        });
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
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

    /// Its process id, if it runs.
    fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid: u32 = lines.next()?.parse().ok()?;
        let ours = lines.nth(2)?.parse() == Ok(self.port) && Path::new(&format!("/proc/{pid}")).exists();
        ours.then_some(pid)
    }

    fn stop(&self, word: &str) {
        let Some(mut keeper) = self.keeper().take() else { return };
        if let Some(mut stdin) = keeper.stdin.take() {
            let _ = writeln!(stdin, "{word}");
        }
        let _ = keeper.wait();
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Child>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.stop("remove");
    }
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

fn unprivileged(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root(Path::new("/proc/self")) {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder);
    command
}

fn is_root(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.uid() == 0)
}

/// Below the range that the system takes ports of outgoing connections from.
fn free_port() -> u16 {
    let seed = Instant::now().elapsed().as_nanos() as u64 ^ u64::from(std::process::id()) << 20;
    let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(seed, |time| time.as_nanos() as u64 ^ seed);
    (0..2_000_u64)
        .map(|step| 20_000 + ((nanos / 1_000 + step * 37) % 12_000) as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
