//! When to stop: the signals a process gets from a terminal or an orchestrator.

/// Resolves at Ctrl-C or, on Unix, at SIGTERM: what a worker hands to [`Processor::run`](super::Processor::run).
pub async fn shutdown_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => report(interrupted),
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    report(tokio::signal::ctrl_c().await);
}

fn report(interrupted: std::io::Result<()>) {
    if let Err(error) = interrupted {
        tracing::error!(%error, "can't listen for Ctrl-C: stopping");
    }
}
