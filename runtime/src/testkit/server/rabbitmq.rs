//! A RabbitMQ server of the tests' own: on free ports, in a folder for temporary files, gone with its process. It takes
//! about five seconds to start: tests share one where they can.

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
    process::{PATIENCE, dismiss, folder_of, free_port, kept, kept_and_noted, log_of, process_of, run},
    signal,
};

/// What to do where there is no server.
const INSTALL: &str = "RabbitMQ's server is not installed; on Debian and Ubuntu: \
                       apt-get install -y --no-install-recommends rabbitmq-server";

/// The program itself: the one on the path wants to be root and changes its user.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// How it is stopped: at once. A polite end takes seconds, and nothing is kept of it.
const STOP: &str = "KILL";

/// A running server. Dropped, it is stopped and its data removed.
#[derive(Debug)]
pub struct RabbitServer {
    folder: PathBuf,
    port: u16,
    /// Of Erlang's registry of nodes, and of this node.
    inner: [u16; 2],
    user: [String; 2],
    scheme: &'static str,
    query: String,
    registry: Mutex<Option<Child>>,
    keeper: Mutex<Option<Child>>,
}

impl RabbitServer {
    /// The server that all tests of this process share; each test chooses a prefix of its own.
    ///
    /// # Panics
    ///
    /// If RabbitMQ is not installed, or does not start.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RabbitServer> = OnceLock::new();
        SHARED.get_or_init(Self::private)
    }

    /// A server of its own for a test that does something to it. It keeps what it has confirmed when it is killed.
    ///
    /// # Panics
    ///
    /// If RabbitMQ is not installed, or does not start.
    #[must_use]
    pub fn private() -> Self {
        Self::with_password("guest", "guest")
    }

    /// A server with this user and no other.
    ///
    /// # Panics
    ///
    /// If RabbitMQ is not installed, or does not start.
    #[must_use]
    pub fn with_password(user: &str, password: &str) -> Self {
        let folder = folder_of("rabbitmq");
        Self::start(folder, [user.to_owned(), password.to_owned()], "amqp", String::new())
    }

    /// A server that speaks TLS only, with a certificate of an authority of its own; [`url`](Self::url) names it.
    ///
    /// # Panics
    ///
    /// If RabbitMQ or `openssl` is not installed, or the server does not start.
    #[must_use]
    pub fn with_tls() -> Self {
        let folder = folder_of("rabbitmq");
        certificates(&folder);
        let query = format!("&ca={}", folder.join("ca.pem").display());
        Self::start(folder, ["guest".to_owned(), "guest".to_owned()], "amqps", query)
    }

    fn start(folder: PathBuf, user: [String; 2], scheme: &'static str, query: String) -> Self {
        assert!(Path::new(PROGRAM).is_file(), "`{PROGRAM}` was not found. {INSTALL}");
        let cookie = folder.join(".erlang.cookie");
        fs::write(&cookie, "TESTS").expect("a file can be written");
        run(Command::new("chmod").arg("400").arg(&cookie));
        run(Command::new("chown").arg("--reference").arg(&folder).arg(&cookie));
        let (registry, keeper) = (Mutex::new(None), Mutex::new(None));
        let mut server = Self { folder, port: 0, inner: [0; 2], user, scheme, query, registry, keeper };
        // Another process may take a port in between.
        for _ in 0..5 {
            let [first, second, third] = three_ports();
            (server.port, server.inner) = (first, [second, third]);
            server.configure();
            if server.try_start() {
                return server;
            }
            server.stop_registry();
        }
        panic!("the RabbitMQ server does not start; its log:\n{}", log_of(&server.folder));
    }

    fn configure(&self) {
        let [user, password] = &self.user;
        let listener = match self.scheme {
            "amqps" => {
                let file = |name: &str| self.folder.join(name).display().to_string();
                format!(
                    "listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:{}\nssl_options.cacertfile = {}\n\
                     ssl_options.certfile = {}\nssl_options.keyfile = {}\nssl_options.verify = verify_none\n",
                    self.port,
                    file("ca.pem"),
                    file("server.pem"),
                    file("server.key")
                )
            }
            _ => format!("listeners.tcp.1 = 127.0.0.1:{}\n", self.port),
        };
        let limits = "disk_free_limit.absolute = 50MB\nvm_memory_high_watermark.absolute = 512MB\n";
        let config = format!("{listener}default_user = {user}\ndefault_pass = {password}\n{limits}");
        fs::write(self.folder.join("rabbitmq.conf"), config).expect("a file can be written");
        fs::write(self.folder.join("plugins"), "[].\n").expect("a file can be written");
    }

    fn try_start(&self) -> bool {
        let [registry, node] = self.inner.map(|port| port.to_string());
        if lock(&self.registry).is_none() {
            let mut epmd = kept(&self.folder, STOP, Path::new("epmd"));
            epmd.args(["-port", &registry, "-address", "127.0.0.1"]);
            *lock(&self.registry) = Some(epmd.spawn().expect("a shell can be started"));
        }
        let mut command = kept_and_noted(&self.folder, STOP, Path::new(PROGRAM));
        let folders = ["MNESIA_BASE", "LOG_BASE", "SCHEMA_DIR", "GENERATED_CONFIG_DIR"];
        for (name, place) in folders.map(|name| (name, name.to_lowercase())) {
            command.env(format!("RABBITMQ_{name}"), self.folder.join(place));
        }
        let files = [("ENABLED_PLUGINS_FILE", "plugins"), ("CONFIG_FILE", "rabbitmq.conf"), ("PID_FILE", "node.pid")];
        for (name, file) in files.into_iter().chain([("ADVANCED_CONFIG_FILE", "none"), ("CONF_ENV_FILE", "none")]) {
            command.env(format!("RABBITMQ_{name}"), self.folder.join(file));
        }
        command
            .env("HOME", &self.folder)
            // The process that is started is the broker, not a shell around it.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .env("ERL_EPMD_PORT", &registry)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("n{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", &node)
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2");
        *lock(&self.keeper) = Some(command.spawn().expect("a shell can be started"));
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            // Not another server on the same port.
            if self.pid().is_some() && self.is_ready() {
                return true;
            }
            if begun.elapsed() > Duration::from_secs(3) && self.pid().is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.stop();
        false
    }

    /// Whether it speaks the protocol.
    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        if self.scheme == "amqps" {
            return log_of(&self.folder).contains("Server startup complete");
        }
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut answer = [0];
        stream.write_all(b"AMQP\0\0\x09\x01").and_then(|()| stream.read(&mut answer)).is_ok() && answer == [1]
    }

    /// The address for everything under a prefix.
    #[must_use]
    pub fn url(&self, prefix: &str) -> String {
        let [user, password] = &self.user;
        format!("{}://{user}:{password}@127.0.0.1:{}/?prefix={prefix}{}", self.scheme, self.port, self.query)
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `SIGKILL` for the server: nothing is written any more, no connection is closed politely.
    ///
    /// First it waits until the server has noted its quorum queues: RabbitMQ 3.10 does that up to seconds after it has
    /// made one, and a queue that is not noted has no leader after the restart, and never will.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill(&self) {
        let begun = Instant::now();
        while !self.has_noted_queues() {
            assert!(
                begun.elapsed() < PATIENCE,
                "the RabbitMQ server does not note its queues:\n{}",
                log_of(&self.folder)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        signal::kill(self.running());
        self.stop();
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
            assert!(begun.elapsed() < PATIENCE, "the RabbitMQ server does not start again:\n{}", log_of(&self.folder));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn running(&self) -> u32 {
        self.pid().expect("the server is running")
    }

    /// Whether each quorum queue's folder stands in the index beside it.
    fn has_noted_queues(&self) -> bool {
        let node = format!("n{}@localhost", self.port);
        let quorum = self.folder.join("mnesia_base").join(&node).join("quorum").join(&node);
        let Ok(entries) = fs::read_dir(&quorum) else { return true };
        let folders = entries.flatten().filter(|entry| entry.path().is_dir());
        let index = fs::read(quorum.join("names.dets")).unwrap_or_default();
        let is_noted = |name: &[u8]| index.windows(name.len()).any(|part| part == name);
        folders.into_iter().all(|folder| is_noted(folder.file_name().as_encoded_bytes()))
    }

    /// Its process id, if it runs.
    fn pid(&self) -> Option<u32> {
        process_of(&self.folder)
    }

    fn stop(&self) {
        let keeper = lock(&self.keeper).take();
        if let Some(keeper) = keeper {
            dismiss(keeper, "keep");
        }
    }

    fn stop_registry(&self) {
        let registry = lock(&self.registry).take();
        if let Some(registry) = registry {
            dismiss(registry, "keep");
        }
    }
}

impl Drop for RabbitServer {
    fn drop(&mut self) {
        self.stop();
        self.stop_registry();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn three_ports() -> [u16; 3] {
    loop {
        let mut ports = [0; 3].map(|_: u16| {
            std::thread::sleep(Duration::from_millis(1));
            free_port()
        });
        ports.sort_unstable();
        if ports[0] != ports[1] && ports[1] != ports[2] {
            return ports;
        }
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
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=authority"));
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=server"));
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 30";
    openssl(&format!("{sign} -extfile ext"));
    // The server does not run as root, and must read its key.
    run(Command::new("chmod").arg("644").arg(folder.join("server.key")));
}
