//! When to stop: the signals a process gets from a terminal or an orchestrator.

use std::{future::Future, io, pin::Pin};

type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Resolves at Ctrl-C or, on Unix, at SIGTERM: what a worker hands to [`Processor::run`](super::Processor::run).
///
/// It listens from the call on, not from the first `await`: call it before the program says that it is ready, and no
/// signal finds it deaf.
///
/// # Panics
///
/// Outside of a tokio runtime.
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + Unpin {
    listen().unwrap_or_else(|error| -> Signal {
        // Without a way to be told to stop, going on is right: a stop is then a kill, which loses nothing either.
        tracing::error!(%error, "can't listen for signals; only a kill ends this process");
        Box::pin(std::future::pending())
    })
}

#[cfg(unix)]
fn listen() -> io::Result<Signal> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }))
}

#[cfg(not(unix))]
fn listen() -> io::Result<Signal> {
    Ok(Box::pin(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "can't listen for Ctrl-C");
            std::future::pending().await
        }
    }))
}
