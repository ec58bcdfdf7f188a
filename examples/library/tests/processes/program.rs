//! A running `library`, and an HTTP client for it.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use ureq::Agent;

/// Generous: a machine under load is no failure.
const LIMIT: Duration = Duration::from_secs(90);

/// A process, killed at the end if it still runs.
pub(crate) struct Program {
    child: Child,
    /// What it said when it was ready.
    ready: String,
}

impl Program {
    /// Starts it on a SQLite file, and waits until it says that it is ready.
    pub(crate) fn start(arguments: &[&str], database: &Path) -> Self {
        Self::ready(command().args(arguments).arg("--database").arg(database))
    }

    /// Starts it with `DATABASE_URL`, and waits until it says that it is ready.
    pub(crate) fn start_on(url: &str, arguments: &[&str]) -> Self {
        Self::ready(command().args(arguments).env("DATABASE_URL", url))
    }

    fn ready(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).env("RUST_LOG", "error").spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let (said, heard) = mpsc::channel();
        thread::spawn(move || said.send(lines.next()));
        match heard.recv_timeout(LIMIT) {
            Ok(Some(Ok(ready))) => Self { child, ready },
            other => {
                let _ = child.kill();
                panic!("{command:?} did not get ready: {other:?}");
            }
        }
    }

    /// Runs it to its end.
    pub(crate) fn output(arguments: &[&str]) -> Output {
        command().args(arguments).output().expect("the program starts")
    }

    /// Runs it with `DATABASE_URL` to its end.
    pub(crate) fn output_on(url: &str, arguments: &[&str]) -> Output {
        command().args(arguments).env("DATABASE_URL", url).output().expect("the program starts")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said when it was ready.
    pub(crate) fn said(&self) -> &str {
        &self.ready
    }

    /// SIGKILL: no chance to clean up.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ended");
    }

    /// SIGTERM; returns the exit code.
    pub(crate) fn terminate(self) -> Option<i32> {
        self.stop("TERM")
    }

    /// Sends a signal and waits for the end; returns the exit code.
    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("`kill` starts").success());
        let mut code = None;
        wait_until("the program has stopped", || {
            code = self.child.try_wait().expect("its status");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_library"));
    command.env_remove("DATABASE_URL");
    command
}

/// An HTTP client.
pub(crate) struct Api {
    agent: Agent,
    base: String,
}

impl Api {
    /// For the server that this program is.
    pub(crate) fn of(program: &Program) -> Self {
        let base = program.ready.split_whitespace().find(|word| word.starts_with("http://"));
        let base = base.unwrap_or_else(|| panic!("no address in `{}`", program.ready)).to_owned();
        Self { agent: Agent::config_builder().timeout_global(Some(LIMIT)).build().into(), base }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let mut answer = self.agent.get(format!("{}{path}", self.base)).call().expect(path);
        answer.body_mut().read_json().expect(path)
    }

    /// Sends a request that must be carried out.
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.base);
        let answer = match (method, body) {
            ("POST", Some(body)) => self.agent.post(url).send_json(body),
            ("PUT", None) => self.agent.put(url).send_empty(),
            ("DELETE", None) => self.agent.delete(url).call(),
            other => panic!("{other:?} is not a request of these tests"),
        };
        answer.expect(path).body_mut().read_json().unwrap_or_default()
    }
}

/// Looks until it holds; panics when the time is up.
pub(crate) fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    assert!(comes_true(holds), "within {LIMIT:?}: {what}");
}

/// Looks until it holds, or the time is up.
pub(crate) fn comes_true(mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + LIMIT;
    while !holds() {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}
