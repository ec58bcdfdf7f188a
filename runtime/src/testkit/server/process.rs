//! A server's process in a test: as whom it runs, in which folder, on which port, and that it never outlives the test.
//!
//! Nothing but the standard library in here: the store's unit tests use this file too, without the test kit.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// The user `nobody`: servers refuse to run as root.
const NOBODY: u32 = 65_534;

/// How long a server may take to answer: generous, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a server, and stops it with a signal when told to or when the test process is gone, however it ended: then its
/// end of the pipe is closed. Removes the folder unless the word is `keep`.
const KEEPER: &str = r#"folder=$1; signal=$2; shift 2; "$@" & pid=$!; read -r word; kill -$signal $pid 2>/dev/null
wait $pid; if [ "$word" != keep ]; then cd /; rm -rf "$folder"; fi"#;

/// Writes down who it is; what comes behind it keeps the process.
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
const NOTED: &str = "echo $$ > pid; exec \"$@\"";

/// A folder of a server's own, which it may write to whoever it runs as.
pub(crate) fn folder_of(what: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // One that an earlier process with this number has left behind is not taken.
    let folder = loop {
        let name = format!("domain-events-{what}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        match fs::create_dir(&folder) {
            Ok(()) => break folder,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{} can't be made: {error}", folder.display()),
        }
    };
    if is_root(&folder) {
        chown(&folder, Some(NOBODY), Some(NOBODY)).expect("root can give a folder away");
    }
    folder
}

/// What a server in this folder has said.
pub(crate) fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// A server's program, to be given its arguments: started, it runs in its folder until it is [dismissed](dismiss).
pub(crate) fn kept(folder: &Path, signal: &str, program: &Path) -> Command {
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log"));
    let log = log.expect("the server's log can be written");
    let mut command = unprivileged(Path::new("/bin/sh"), folder);
    command.args(["-c", KEEPER, "sh"]).arg(folder).arg(signal).arg(program);
    command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
    command
}

/// The same for a program that does not write down its process itself: [`process_of`] finds it.
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
pub(crate) fn kept_and_noted(folder: &Path, signal: &str, program: &Path) -> Command {
    let _ = fs::remove_file(folder.join("pid"));
    let mut command = kept(folder, signal, Path::new("/bin/sh"));
    command.args(["-c", NOTED, "sh"]).arg(program);
    command
}

/// The process that a folder's file `pid` names, if it runs.
#[cfg(any(feature = "rabbitmq", feature = "kafka"))]
pub(crate) fn process_of(folder: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(folder.join("pid")).ok()?.trim().parse().ok()?;
    // One that was killed leaves the file behind; a zombie has no command line.
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    (!line.is_empty()).then_some(pid)
}

/// Stops a server, and waits until it is gone.
pub(crate) fn dismiss(mut keeper: Child, word: &str) {
    if let Some(mut stdin) = keeper.stdin.take() {
        let _ = writeln!(stdin, "{word}");
    }
    let _ = keeper.wait();
}

/// A program that does not run as root.
pub(crate) fn unprivileged(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root(Path::new("/proc/self")) {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder);
    command
}

fn is_root(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.uid() == 0)
}

/// Below the range that the system takes ports of outgoing connections from.
pub(crate) fn free_port() -> u16 {
    let seed = Instant::now().elapsed().as_nanos() as u64 ^ u64::from(std::process::id()) << 20;
    let nanos = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(seed, |time| time.as_nanos() as u64 ^ seed);
    (0..2_000_u64)
        .map(|step| 20_000 + ((nanos / 1_000 + step * 37) % 12_000) as u16)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// Runs a program to its end; panics if it fails.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} can't be started: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
