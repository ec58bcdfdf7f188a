//! Serving: web, worker, or both in one process, until Ctrl-C or SIGTERM; then nothing that was begun is lost.

use std::{
    error::Error,
    io::{self, IsTerminal as _},
};

use domain_events::shutdown_signal;
use tokio::net::TcpListener;
use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{app::App, command::Options, database::Database, say, web};

/// Runs until told to stop.
pub async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    log();
    // Listens from here on, so that a signal during the start is not lost.
    let stop = tokio::spawn(shutdown_signal());
    let stopped = async {
        let _ = stop.await;
    };

    let database = Database::open(&options.database).await?;
    let app = App::new(database.clone())?;

    // What can fail at the start fails before anything is said.
    let listener = match options.listen {
        Some(address) => {
            Some(TcpListener::bind(address).await.map_err(|error| format!("can't listen on {address}: {error}"))?)
        }
        None => None,
    };
    let processor = match &options.groups {
        Some(groups) => Some(app.events.processor().groups(groups).start().await?),
        None => None,
    };
    announce(&listener, options.groups.as_deref(), &database)?;

    let served = match listener {
        // Takes no new connection, answers the requests that are under way.
        Some(listener) => web::serve(listener, app, stopped).await,
        None => {
            stopped.await;
            Ok(())
        }
    };
    // The last requests' events are in the log by now; what is not handled any more waits there for the next start.
    if let Some(processor) = processor {
        processor.shutdown().await?;
    }
    tracing::info!("stopped");
    Ok(served?)
}

fn announce(listener: &Option<TcpListener>, groups: Option<&[String]>, database: &Database) -> io::Result<()> {
    if let Some(listener) = listener {
        say(&format!("serving http://{} on {database}", listener.local_addr()?));
    }
    if let Some(groups) = groups {
        say(&format!("handling {} on {database}", groups.join(", ")));
    }
    Ok(())
}

/// Logs to stderr; `RUST_LOG` chooses what: `info`, `domain_events=debug`, ...
fn log() {
    let filter = std::env::var("RUST_LOG").ok().and_then(|filter| filter.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(Level::INFO).with_target("sqlx", Level::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines).with(filter).init();
}
