//! Child processes of the suite: real ones, so that they can be killed, stopped and woken with real signals.
//!
//! The suite runs the current test binary again, for one test only, `conformance_child`, which does nothing unless the
//! environment says which role to play on which data.

use std::{
    future::Future,
    os::unix::process::ExitStatusExt,
    process::{Child as Process, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use super::{
    StoreHarness, block_on,
    role::{self, Role},
    suite::{LIMIT, Suite},
};

const ROLE: &str = "DOMAIN_EVENTS_CONFORMANCE_ROLE";
const PLACE: &str = "DOMAIN_EVENTS_CONFORMANCE_PLACE";
const JOURNAL: &str = "DOMAIN_EVENTS_CONFORMANCE_JOURNAL";
const BACKEND: &str = "DOMAIN_EVENTS_CONFORMANCE_CHILD";
const FAULT: &str = "DOMAIN_EVENTS_FAULT";

/// `SIGKILL` of every POSIX system.
const SIGKILL: i32 = 9;
/// `SIGABRT`.
const SIGABRT: i32 = 6;

/// A running child; killed when dropped.
pub(super) struct Child {
    process: Process,
    output: std::path::PathBuf,
}

impl<H: StoreHarness> Suite<H> {
    /// Starts a child that plays a role on this suite's data; `fault` is the point where it dies.
    pub(super) fn child(&self, role: Role, fault: Option<&str>) -> Child {
        let output = self.scratch().join("child.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&output).expect("the log can be opened");
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command
            .args(["--exact", &self.child_test, "--nocapture", "--test-threads", "1"])
            .env(BACKEND, &self.child_test)
            .env(ROLE, role.as_str())
            .env(PLACE, self.harness.place())
            .env(JOURNAL, self.journal_path())
            .env_remove(FAULT)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log can be opened twice"))
            .stderr(file);
        if let Some(fault) = fault {
            command.env(FAULT, fault);
        }
        Child { process: command.spawn().expect("this program can be started"), output }
    }
}

impl Child {
    /// `SIGKILL`: no destructor runs, no lease is given back.
    pub(super) fn kill(&mut self) {
        self.process.kill().expect("a child can be killed");
        let status = self.process.wait().expect("a killed child ends");
        assert_eq!(status.signal(), Some(SIGKILL), "the child ended before it was killed: {status}; {}", self.output());
    }

    /// `SIGSTOP`: frozen, as by a debugger, a long pause, a suspended machine.
    pub(super) fn freeze(&self) {
        self.send("-STOP");
    }

    /// `SIGCONT`.
    pub(super) fn thaw(&self) {
        self.send("-CONT");
    }

    fn send(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "`kill {signal}` did not work");
    }

    /// Waits until the child ends by itself, without blocking others.
    async fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "the child did not end within {LIMIT:?}; {}", self.output());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the child ends; it must have succeeded.
    pub(super) async fn succeeds(mut self) {
        let status = self.end().await;
        assert!(status.success(), "the child failed: {status}; {}", self.output());
    }

    /// Waits until the child ends; it must have died by `SIGKILL`.
    pub(super) async fn dies_killed(mut self, at: &str) {
        let status = self.end().await;
        assert_eq!(
            status.signal(),
            Some(SIGKILL),
            "the child never came to `{at}`, it ended: {status}; {}",
            self.output()
        );
    }

    /// Waits until the child ends: `true` if it succeeded, `false` if it aborted; everything else is a failure.
    pub(super) async fn survives(mut self) -> bool {
        let status = self.end().await;
        let aborted = status.signal() == Some(SIGABRT);
        assert!(aborted || status.success(), "the child failed: {status}; {}", self.output());
        !aborted
    }

    /// Its process id, as the journal has it.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    fn output(&self) -> String {
        format!("its output:\n{}", std::fs::read_to_string(&self.output).unwrap_or_default())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The body of the test `conformance_child`: plays the role that the environment names, if it names one.
///
/// The `connect` expression is never run here; it only tells the backend's type.
#[doc(hidden)]
pub fn conformance_child<H: StoreHarness, F: Future<Output = H>>(_: impl FnOnce() -> F, test: &str) {
    let Ok(backend) = std::env::var(BACKEND) else {
        // A plain run of all tests: nobody asked for a child, so there is nothing to do.
        assert!(std::env::var(ROLE).is_err(), "{ROLE} is set without {BACKEND}");
        return;
    };
    assert_eq!(backend, test, "the child of `{backend}` was started as `{test}`");
    let get = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (role, place, journal) = (get(ROLE), get(PLACE), get(JOURNAL));
    block_on(async { role::play(Role::parse(&role), &H::at(&place).await, journal.as_ref()).await });
}
