//! Signals to a server: killed, or frozen, so that its connections stand and nobody answers.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use super::process::{PATIENCE, run};

/// `SIGSTOP`, and waits until all its threads have stopped: one of them may be on its way to answer.
pub(super) fn pause(pid: u32) {
    signal(pid, "-STOP");
    let begun = Instant::now();
    while !is_stopped(pid) {
        assert!(begun.elapsed() < PATIENCE, "process {pid} does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// `SIGCONT`.
pub(super) fn resume(pid: u32) {
    signal(pid, "-CONT");
}

/// `SIGKILL`.
pub(super) fn kill(pid: u32) {
    signal(pid, "-KILL");
}

fn signal(pid: u32, signal: &str) {
    run(Command::new("kill").args([signal, &pid.to_string()]));
}

/// Whether all threads of a process are stopped: `T` behind the name, which may have brackets (proc(5)).
fn is_stopped(pid: u32) -> bool {
    let stopped = |stat: String| stat.rsplit(')').next().is_some_and(|behind| behind.trim_start().starts_with('T'));
    let mut threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the server is running").flatten();
    threads.all(|thread| fs::read_to_string(thread.path().join("stat")).map_or(true, stopped))
}
