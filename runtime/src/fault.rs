//! Places where a test can have the process killed: one per step that must not tear. Without the feature `testkit` a
//! point is nothing at all.

/// A point in the program, by name. With the feature `testkit`, and the environment variable `DOMAIN_EVENTS_FAULT` set
/// to `name` or `name:3`, the process is killed when it comes by for the first or the third time.
#[cfg(not(feature = "testkit"))]
#[inline(always)]
pub(crate) fn point(_name: &'static str) {}

#[cfg(feature = "testkit")]
pub(crate) use armed::point;

#[cfg(feature = "testkit")]
mod armed {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    };

    struct Fault {
        name: String,
        left: AtomicU32,
    }

    static FAULT: LazyLock<Option<Fault>> = LazyLock::new(|| {
        let text = std::env::var("DOMAIN_EVENTS_FAULT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Fault { name: name.to_owned(), left: AtomicU32::new(count.parse().unwrap_or(1)) })
    });

    pub(crate) fn point(name: &'static str) {
        if let Some(fault) = &*FAULT
            && fault.name == name
            && fault.left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            // Killed, not ended: no destructor runs and no buffer is flushed, as with SIGKILL from outside.
            let _ = std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
            std::process::abort();
        }
    }
}
