//! A running `library`, and an HTTP client for it.

use std::{
    ffi::OsStr,
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

    /// Starts it in this environment, and waits until it says that it is ready.
    pub(crate) fn start_in<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        environment: impl IntoIterator<Item = (K, V)>,
        arguments: &[&str],
    ) -> Self {
        Self::ready(command().args(arguments).envs(environment))
    }

    fn ready(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).env("RUST_LOG", "error,lapin=off").spawn().expect("the program starts");
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

    /// Runs it in this environment to its end.
    pub(crate) fn output_in(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
        command().args(arguments).envs(environment.iter().copied()).output().expect("the program starts")
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
    for variable in ["DATABASE_URL", "EVENTS_TRANSPORT", "LIBRARY_WEB", "LIBRARY_WORKERS"] {
        command.env_remove(variable);
    }
    command
}

/// An HTTP client.
#[derive(Clone)]
pub(crate) struct Api {
    agent: Agent,
    base: String,
}

impl Api {
    /// For the server that this program is.
    pub(crate) fn of(program: &Program) -> Self {
        let base = program.ready.split_whitespace().find(|word| word.starts_with("http://"));
        Self::at(base.unwrap_or_else(|| panic!("no address in `{}`", program.ready)))
    }

    /// For whatever serves at `http://host:port`.
    pub(crate) fn at(base: &str) -> Self {
        let base = base.trim_end_matches(',').to_owned();
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(LIMIT));
        Self { agent: config.build().into(), base }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let mut answer = self.agent.get(format!("{}{path}", self.base)).call().expect(path);
        let body: Value = answer.body_mut().read_json().expect(path);
        assert_eq!(answer.status(), 200, "{path}: {body}");
        body
    }

    /// Sends a request that must be carried out.
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        match self.ask(method, path, body) {
            Some((200..300, answer)) => answer,
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    /// Sends a request: status and answer, or `None` if nobody answers.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let answer = match (method, body) {
            ("GET", None) => self.agent.get(url).call(),
            ("POST", Some(body)) => self.agent.post(url).send_json(body),
            ("PUT", None) => self.agent.put(url).send_empty(),
            ("DELETE", None) => self.agent.delete(url).call(),
            other => panic!("{other:?} is not a request of these tests"),
        };
        let mut answer = answer.ok()?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or_default()))
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
