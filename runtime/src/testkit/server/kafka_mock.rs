//! librdkafka's own mock of a Kafka broker, in this process: it needs nothing installed, and keeps what it has in memory.

use std::{
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rdkafka::mocking::MockCluster;

use super::process::PATIENCE;

/// A mock of a Kafka broker, for the time of a test. It does everything but outlive its process: no admin requests
/// (topics are made when they are first asked for, with four partitions; where processes are to share evenly, make the
/// handler's retry topic with one [before](Self::topic)), no credentials, no TLS. A group begins three seconds after its
/// first member has come: sessions must be longer.
#[derive(Debug)]
pub struct KafkaMock {
    commands: mpsc::Sender<Command>,
    bootstrap: String,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Command {
    Topic(String, i32, mpsc::Sender<()>),
    Reachable(bool, mpsc::Sender<()>),
}

impl KafkaMock {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// If librdkafka makes none.
    #[must_use]
    pub fn start() -> Self {
        let (commands, orders) = mpsc::channel();
        let (told, ready) = mpsc::channel();
        // The cluster can't be sent between threads: one thread has it.
        let thread = std::thread::spawn(move || {
            let cluster = MockCluster::new(1).expect("librdkafka makes a mock of a cluster");
            told.send(cluster.bootstrap_servers()).expect("whoever starts it waits");
            while let Ok(order) = orders.recv() {
                let done = match order {
                    Command::Topic(name, partitions, done) => {
                        cluster.create_topic(&name, partitions, 1).expect("the mock makes topics");
                        done
                    }
                    Command::Reachable(reachable, done) => {
                        let switched = if reachable { cluster.broker_up(1) } else { cluster.broker_down(1) };
                        switched.expect("the mock has a broker");
                        done
                    }
                };
                let _ = done.send(());
            }
        });
        let bootstrap = ready.recv().expect("the mock starts");
        Self { commands, bootstrap, thread: Some(thread) }
    }

    /// Where it listens, `host:port`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Its address as a transport's; `options` is what stands behind the `?`.
    #[must_use]
    pub fn url(&self, options: &str) -> String {
        format!("kafka://{}?{options}", self.bootstrap)
    }

    /// Makes a topic.
    ///
    /// # Panics
    ///
    /// If it is there.
    pub fn topic(&self, name: &str, partitions: i32) {
        self.order(|done| Command::Topic(name.to_owned(), partitions, done));
    }

    /// Cuts all connections and takes no new ones.
    ///
    /// # Panics
    ///
    /// If the mock is gone.
    pub fn outage(&self) {
        self.order(|done| Command::Reachable(false, done));
    }

    /// Ends the outage.
    ///
    /// # Panics
    ///
    /// If the mock is gone.
    pub fn recover(&self) {
        self.order(|done| Command::Reachable(true, done));
    }

    fn order(&self, command: impl FnOnce(mpsc::Sender<()>) -> Command) {
        let (done, finished) = mpsc::channel();
        self.commands.send(command(done)).expect("the mock runs");
        finished.recv_timeout(PATIENCE).expect("the mock did what it was told");
    }
}

impl Drop for KafkaMock {
    fn drop(&mut self) {
        let (closed, _) = mpsc::channel();
        self.commands = closed;
        let deadline = Instant::now() + Duration::from_secs(10);
        // Clients that still hold a connection keep it from ending: the test's end is not theirs to delay.
        while let Some(thread) = &self.thread
            && Instant::now() < deadline
        {
            if thread.is_finished() {
                self.thread = None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
