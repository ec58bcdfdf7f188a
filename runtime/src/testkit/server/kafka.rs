//! A Kafka broker in a process of its own, that keeps on the disk what it has confirmed: where its program is given. No
//! package brings one; `just kafka-broker` builds one.

use std::{
    ffi::OsStr,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Child,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::{
    process::{PATIENCE, dismiss, folder_of, free_port, kept_and_noted, log_of, process_of},
    signal,
};

/// The environment variable that names the program.
const PROGRAM: &str = "DOMAIN_EVENTS_KAFKA_BROKER";

/// A running broker: `nisshi`, which is built by `just kafka-broker` and speaks Kafka's protocol. Dropped, it is stopped
/// and its data removed. It asks for no credentials and speaks no TLS.
#[derive(Debug)]
pub struct KafkaServer {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    keeper: Mutex<Option<Child>>,
}

impl KafkaServer {
    /// The program that the environment variable `DOMAIN_EVENTS_KAFKA_BROKER` names, if it names one.
    ///
    /// # Panics
    ///
    /// If it names what is not there.
    pub fn program() -> Option<PathBuf> {
        let named = PathBuf::from(std::env::var_os(PROGRAM).filter(|value| value != OsStr::new(""))?);
        assert!(
            named.is_file(),
            "{PROGRAM} names {}, where no program is; `just kafka-broker` builds it and says where it is",
            named.display()
        );
        Some(fs::canonicalize(&named).expect("a file has a path"))
    }

    /// The broker that all tests of this process share; each test has a prefix of its own.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn shared(program: &Path) -> &'static Self {
        static SHARED: OnceLock<KafkaServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::private(program))
    }

    /// A broker of its own for a test that does something to it.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn private(program: &Path) -> Self {
        let keeper = Mutex::new(None);
        let mut server = Self { program: program.to_owned(), folder: folder_of("kafka"), port: 0, keeper };
        // Another process may take the port in between.
        for _ in 0..5 {
            server.port = free_port();
            if server.try_start() {
                return server;
            }
        }
        panic!("the Kafka broker does not start; its log:\n{}", log_of(&server.folder));
    }

    /// Starts it again after [`kill`](Self::kill), on the same data and port.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&self) {
        let begun = Instant::now();
        while !self.try_start() {
            assert!(begun.elapsed() < PATIENCE, "the Kafka broker does not start again:\n{}", log_of(&self.folder));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn try_start(&self) -> bool {
        let url = format!("tcp://127.0.0.1:{}", self.port);
        let mut command = kept_and_noted(&self.folder, "KILL", &self.program);
        command.args(["broker", "--cluster-id", "tests", "--listener-url", &url, "--advertised-listener-url", &url]);
        command.args(["--group-initial-rebalance-delay", "0s", "--storage-engine", "sqlite://log.db", "--silent"]);
        *self.keeper() = Some(command.spawn().expect("a shell can be started"));
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            // Not another server on the same port.
            if process_of(&self.folder).is_some() && TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            if begun.elapsed() > Duration::from_secs(2) && process_of(&self.folder).is_none() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.stop();
        false
    }

    /// Where it listens, `host:port`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its address as a transport's; `options` is what stands behind the `?`.
    #[must_use]
    pub fn url(&self, options: &str) -> String {
        format!("kafka://{}?{options}", self.bootstrap())
    }

    /// `SIGKILL`: nothing is written any more, no connection is closed politely.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn kill(&self) {
        signal::kill(self.running());
        self.stop();
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
        process_of(&self.folder).expect("the broker is running")
    }

    fn stop(&self) {
        let keeper = self.keeper().take();
        if let Some(keeper) = keeper {
            dismiss(keeper, "keep");
        }
    }

    fn keeper(&self) -> MutexGuard<'_, Option<Child>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
