//! A Redis server of the tests' own: on a free port, in a folder for temporary files, gone with its process.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::{
    process::{PATIENCE, dismiss, folder_of, free_port, kept, log_of, run},
    signal,
};

/// What to do where there is no server.
const INSTALL: &str = "Redis' server is not installed; on Debian and Ubuntu: \
                       apt-get install -y --no-install-recommends redis-server";

/// A running server. Dropped, it is stopped and its data removed.
#[derive(Debug)]
pub struct RedisServer {
    folder: PathBuf,
    port: u16,
    options: Vec<String>,
    scheme: &'static str,
    user: String,
    query: String,
    keeper: Mutex<Option<Child>>,
}

impl RedisServer {
    /// The server that all tests of this process share; each test chooses a prefix of its own.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisServer> = OnceLock::new();
        SHARED.get_or_init(Self::private)
    }

    /// A server of its own for a test that does something to it. It keeps what it has confirmed when it is killed.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or does not start.
    #[must_use]
    pub fn private() -> Self {
        Self::with(&[])
    }

    /// A server that wants this password.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or does not start.
    #[must_use]
    pub fn with_password(password: &str) -> Self {
        let mut server = Self::with(&["--requirepass", password]);
        server.user = format!(":{password}@");
        server
    }

    /// A server with these options of `redis-server`.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or does not start.
    #[must_use]
    pub fn with(options: &[&str]) -> Self {
        Self::start(folder_of("redis"), "redis", options.iter().map(|option| (*option).to_owned()).collect())
    }

    /// A server that speaks TLS only, with a certificate of an authority of its own; [`url`](Self::url) names it.
    ///
    /// # Panics
    ///
    /// If Redis or `openssl` is not installed, or the server does not start.
    #[must_use]
    pub fn with_tls() -> Self {
        let folder = folder_of("redis");
        certificates(&folder);
        let file = |name: &str| folder.join(name).display().to_string();
        let options = [
            ("--tls-cert-file", file("server.pem")),
            ("--tls-key-file", file("server.key")),
            ("--tls-ca-cert-file", file("ca.pem")),
            ("--tls-auth-clients", "no".to_owned()),
        ];
        let options = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        let ca = file("ca.pem");
        let mut server = Self::start(folder, "rediss", options);
        server.query = format!("&ca={ca}");
        server
    }

    fn start(folder: PathBuf, scheme: &'static str, options: Vec<String>) -> Self {
        let (user, query) = (String::new(), String::new());
        let mut server = Self { folder, port: 0, options, scheme, user, query, keeper: Mutex::new(None) };
        // Another process may take the port in between.
        for _ in 0..5 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("the Redis server does not start; its log:\n{}", log_of(&server.folder));
    }

    fn try_start(&self) -> bool {
        let mut command = kept(&self.folder, "TERM", &program());
        let port = self.port.to_string();
        match self.scheme {
            "rediss" => command.args(["--port", "0", "--tls-port", &port]),
            _ => command.args(["--port", &port]),
        };
        command.args(["--bind", "127.0.0.1", "--pidfile"]).arg(self.folder.join("pid"));
        // Written before it is confirmed, so that a killed server has all of it. Not `everysec`: while that syncs to a busy
        // disk, what is confirmed stays in memory for up to 2 seconds.
        command.args(["--appendonly", "yes", "--appendfsync", "no", "--save", "", "--daemonize", "no", "--dir"]);
        command.arg(&self.folder).args(&self.options);
        *self.keeper() = Some(command.spawn().expect("a shell can be started"));
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            // Not another server on the same port.
            if self.pid().is_some() && self.is_ready() {
                return true;
            }
            if begun.elapsed() > Duration::from_secs(2) && self.pid().is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.stop("keep");
        false
    }

    /// Whether it answers, and has read its data.
    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        if self.scheme == "rediss" {
            return log_of(&self.folder).contains("Ready to accept connections");
        }
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut answer = [0; 16];
        let read = stream.write_all(b"PING\r\n").and_then(|()| stream.read(&mut answer)).unwrap_or(0);
        // A server that wants a password is ready as well.
        answer[..read].starts_with(b"+PONG") || answer[..read].starts_with(b"-NOAUTH")
    }

    /// Sends it a command as it is typed, and waits for the answer.
    ///
    /// # Panics
    ///
    /// If it can't be reached.
    pub fn command(&self, line: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server is running");
        let mut answer = [0; 4096];
        let read = stream.write_all(line).and_then(|()| stream.read(&mut answer)).expect("the server answers");
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    /// The address for everything under a prefix.
    #[must_use]
    pub fn url(&self, prefix: &str) -> String {
        format!("{}://{}127.0.0.1:{}/0?prefix={prefix}{}", self.scheme, self.user, self.port, self.query)
    }

    /// The same for Pub/Sub.
    #[must_use]
    pub fn pubsub_url(&self, prefix: &str) -> String {
        self.url(prefix).replacen("://", "+pubsub://", 1)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `SIGKILL` for the server: nothing is written any more, no connection is closed politely.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill(&self) {
        signal::kill(self.running());
        self.stop("keep");
    }

    /// Freezes it: connections stay, nothing answers.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn pause(&self) {
        signal::pause(self.running());
    }

    /// Goes on after [`pause`](Self::pause).
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn resume(&self) {
        signal::resume(self.running());
    }

    /// Starts it again after [`kill`](Self::kill), on the same data and port.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&self) {
        let begun = Instant::now();
        while !self.try_start() {
            assert!(begun.elapsed() < PATIENCE, "the Redis server does not start again:\n{}", log_of(&self.folder));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn running(&self) -> u32 {
        self.pid().expect("the server is running")
    }

    /// Its process id, if it runs.
    fn pid(&self) -> Option<u32> {
        let pid: u32 = fs::read_to_string(self.folder.join("pid")).ok()?.trim().parse().ok()?;
        // One that was killed leaves the file behind; a zombie has no command line.
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains("redis-server").then_some(pid)
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

impl Drop for RedisServer {
    fn drop(&mut self) {
        // One that is frozen would not hear that it is to end.
        if let Some(pid) = self.pid() {
            let _ = Command::new("kill").args(["-CONT", &pid.to_string()]).status();
        }
        self.stop("remove");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An authority, and a certificate of it for 127.0.0.1.
fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split_whitespace()).current_dir(folder).output();
        let output = output.unwrap_or_else(|error| {
            panic!("`openssl` can't be started ({error}); on Debian and Ubuntu: apt-get install -y openssl")
        });
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    fs::write(folder.join("ext"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").expect("a file can be written");
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=authority",
    );
    openssl(
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=server",
    );
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 30 -extfile ext");
    // The server does not run as root, and must read its key.
    run(Command::new("chmod").arg("644").arg(folder.join("server.key")));
}

/// The server's program: on the path, or where Debian puts it.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into(), "/usr/local/bin".into()]);
    let mut found = folders.map(|folder| folder.join("redis-server")).filter(|file| file.is_file());
    found.next().unwrap_or_else(|| panic!("`redis-server` was not found. {INSTALL}"))
}
