//! A PgBouncer of the tests' own, between the store and its server: it gives a server's connection to another client
//! after each transaction.

use std::{
    fmt::Write,
    fs,
    net::TcpStream,
    path::PathBuf,
    process::Child,
    sync::OnceLock,
    time::{Duration, Instant},
};

use super::{
    PostgresServer,
    process::{PATIENCE, dismiss, folder_of, free_port, kept, log_of, unprivileged},
};

/// What to do where there is none.
const INSTALL: &str = "PgBouncer is not installed; on Debian and Ubuntu: \
                       apt-get install -y --no-install-recommends pgbouncer";

/// It keeps nothing, and what other signals mean to it has changed between its versions.
const STOP: &str = "KILL";

/// Few enough connections to the server for each database that clients must share them, enough for the transactions that
/// a test leaves open.
const POOL: u16 = 12;

/// A running PgBouncer. Dropped, it is gone.
#[derive(Debug)]
pub struct PgBouncer {
    folder: PathBuf,
    port: u16,
    keeper: Option<Child>,
}

impl PgBouncer {
    /// The one that all tests of this process share, in front of the server that they share.
    ///
    /// # Panics
    ///
    /// If PgBouncer or PostgreSQL is not installed, or does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PgBouncer> = OnceLock::new();
        SHARED.get_or_init(|| Self::before(PostgresServer::shared(), &[]))
    }

    /// A proxy in front of a server, in transaction mode, with PgBouncer's defaults but for these settings; it does not
    /// keep prepared statements for its clients, as it can from version 1.21 on.
    ///
    /// ```no_run
    /// use domain_events::testkit::conformance::{PgBouncer, PostgresServer};
    ///
    /// let proxy = PgBouncer::before(PostgresServer::shared(), &["default_pool_size = 4"]);
    /// println!("{}", proxy.url("postgres"));
    /// ```
    ///
    /// # Panics
    ///
    /// If PgBouncer is not installed, or does not start.
    #[must_use]
    pub fn before(server: &PostgresServer, settings: &[&str]) -> Self {
        let mut proxy = Self { folder: folder_of("pgbouncer"), port: 0, keeper: None };
        // Another process may take the port in between.
        for _ in 0..5 {
            proxy.port = free_port();
            if proxy.try_start(server, settings) {
                return proxy;
            }
        }
        panic!("PgBouncer does not start; its log:\n{}", log_of(&proxy.folder));
    }

    fn try_start(&mut self, server: &PostgresServer, settings: &[&str]) -> bool {
        let mut config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = users.txt\npool_mode = transaction\n\
             max_client_conn = 1000\ndefault_pool_size = {POOL}\n",
            server.port(),
            self.port
        );
        if knows_statements() {
            config.push_str("max_prepared_statements = 0\n");
        }
        for setting in settings {
            let _ = writeln!(config, "{setting}");
        }
        for (name, text) in [("pgbouncer.ini", &*config), ("users.txt", "\"postgres\" \"\"\n")] {
            fs::write(self.folder.join(name), text).expect("the proxy's settings can be written");
        }
        // What it says is read below, and an earlier try may have said something else.
        let _ = fs::remove_file(self.folder.join("log"));
        let mut command = kept(&self.folder, STOP, &program());
        let mut keeper = command.arg("pgbouncer.ini").spawn().expect("a shell can be started");
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let listens = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            // It says so once it has the port, and not when another one has.
            if listens && log_of(&self.folder).contains(&format!("listening on 127.0.0.1:{}", self.port)) {
                self.keeper = Some(keeper);
                return true;
            }
            if log_of(&self.folder).contains("FATAL") || keeper.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        dismiss(keeper, "keep");
        false
    }

    /// The URL of a database behind it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            dismiss(keeper, "remove");
        }
    }
}

/// On the path, or where Debian puts it, which is not on the path of everybody.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join("pgbouncer")).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("`pgbouncer` was not found. {INSTALL}"))
}

/// Whether it has a setting for its clients' prepared statements; an unknown one would keep it from starting.
fn knows_statements() -> bool {
    let output = unprivileged(&program(), &std::env::temp_dir()).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let version = text.split_whitespace().nth(1).unwrap_or_else(|| panic!("what version of PgBouncer is this: {text}"));
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(1), Some(21))
}
