//! A NATS server of the tests' own, with JetStream: on a free port, in a folder for temporary files, gone with its process.

use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::{
    process::{PATIENCE, dismiss, folder_of, free_port, kept, log_of},
    signal,
};

/// What to do where there is no server.
const INSTALL: &str = "the NATS server is not installed; on Debian and Ubuntu: \
                       apt-get install -y --no-install-recommends nats-server";

/// A running server. Dropped, it is stopped and its data removed.
#[derive(Debug)]
pub struct NatsServer {
    folder: PathBuf,
    port: u16,
    /// More of its command line.
    options: Vec<String>,
    /// What stands before the host in its URL.
    scheme: &'static str,
    keeper: Mutex<Option<Child>>,
}

impl NatsServer {
    /// The server that all tests of this process share; each test has a prefix of its own.
    ///
    /// # Panics
    ///
    /// If the server is not installed, or does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<NatsServer> = OnceLock::new();
        SHARED.get_or_init(Self::private)
    }

    /// A server of its own for a test that does something to it.
    ///
    /// # Panics
    ///
    /// If the server is not installed, or does not start.
    #[must_use]
    pub fn private() -> Self {
        Self::start("nats://", Vec::new())
    }

    /// A server that asks for a user and password.
    ///
    /// # Panics
    ///
    /// If the server is not installed, or does not start.
    #[must_use]
    pub fn with_password(user: &str, password: &str) -> Self {
        Self::start("nats://", ["--user", user, "--pass", password].map(str::to_owned).to_vec())
    }

    /// A server that speaks TLS, with a certificate for `localhost` and its key, in PEM files.
    ///
    /// # Panics
    ///
    /// If the server is not installed, or does not start.
    #[must_use]
    pub fn with_tls(certificate: &Path, key: &Path) -> Self {
        let path = |path: &Path| path.display().to_string();
        let options = ["--tls".into(), "--tlscert".into(), path(certificate), "--tlskey".into(), path(key)];
        Self::start("nats+tls://", options.to_vec())
    }

    fn start(scheme: &'static str, options: Vec<String>) -> Self {
        let mut server = Self { folder: folder_of("nats"), port: 0, options, scheme, keeper: Mutex::new(None) };
        // Another process may take the port in between.
        for _ in 0..5 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("the NATS server does not start; its log:\n{}", log_of(&server.folder));
    }

    /// Starts it again after [`kill`](Self::kill), on the same data and port.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&self) {
        let begun = Instant::now();
        while !self.try_start() {
            assert!(begun.elapsed() < PATIENCE, "the NATS server does not start again:\n{}", log_of(&self.folder));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn try_start(&self) -> bool {
        let _ = fs::remove_file(self.pid_file());
        let mut command = kept(&self.folder, "TERM", &program());
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"]).arg(self.folder.join("data"));
        command.arg("-P").arg(self.pid_file()).args(&self.options);
        *self.keeper() = Some(command.spawn().expect("a shell can be started"));
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            // It writes the file when it listens: else another server may have the port.
            if self.pid().is_some() && self.greets() {
                return true;
            }
            if begun.elapsed() > Duration::from_secs(2) && self.pid().is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.stop("keep");
        false
    }

    fn greets(&self) -> bool {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
        let mut first = [0; 5];
        stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
            && stream.read_exact(&mut first).is_ok()
            && &first == b"INFO "
    }

    /// Its URL, without credentials.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}localhost:{}", self.scheme, self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `SIGKILL`: nothing is written any more, no connection is closed politely.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill(&self) {
        signal::kill(self.running());
        self.stop("keep");
    }

    /// `SIGSTOP`: connections stay open, and nobody answers, until [`resume`](Self::resume).
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn pause(&self) {
        signal::pause(self.running());
    }

    /// `SIGCONT`, after [`pause`](Self::pause).
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn resume(&self) {
        signal::resume(self.running());
    }

    fn running(&self) -> u32 {
        self.pid().expect("the server is running")
    }

    fn pid(&self) -> Option<u32> {
        let pid: u32 = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        Path::new(&format!("/proc/{pid}")).exists().then_some(pid)
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("pid")
    }

    fn stop(&self, word: &str) {
        if let Some(keeper) = self.keeper().take() {
            dismiss(keeper, word);
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Child>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // One that was paused does not hear that it should end.
        if let Some(pid) = self.pid() {
            let _ = Command::new("kill").args(["-CONT", &pid.to_string()]).status();
        }
        self.stop("remove");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The server's program: on the path, or where Debian puts it.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    let found = folders.map(|folder| folder.join("nats-server")).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("`nats-server` was not found. {INSTALL}"))
}
