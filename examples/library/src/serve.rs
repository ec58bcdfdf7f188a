//! Serving: web, worker, or both in one process, until Ctrl-C or SIGTERM; then nothing that was begun is lost.

use std::{
    error::Error,
    io::{self, IsTerminal as _},
    sync::Arc,
};

use domain_events::shutdown_signal;
use tokio::net::TcpListener;
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{
    app::App,
    broker::Broker,
    carriers::Carriers,
    command::Options,
    database::{Database, Place},
    layout::Layout,
    say, web,
};

/// Runs until told to stop.
pub async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    log();
    // Listens from here on, so that a signal during the start is not lost.
    let stop = tokio::spawn(shutdown_signal());
    let stopped = async {
        let _ = stop.await;
    };

    let transport = options.broker.as_ref().map(Broker::transport).transpose()?;
    let database = Database::open(&options.database).await?;
    let app = App::new(database.clone(), options.layout)?;

    // What can fail at the start fails before anything is said.
    let listener = match options.listen {
        Some(address) => {
            Some(TcpListener::bind(address).await.map_err(|error| format!("can't listen on {address}: {error}"))?)
        }
        None => None,
    };
    let groups = options.groups.as_deref();
    let carriers = Arc::new(match transport {
        Some(transport) => Carriers::on_transport(&app, transport, groups).await?,
        None => Carriers::on_log(&app, groups).await?,
    });
    announce(&listener, groups, &database, &carriers)?;

    let served = match listener {
        // Takes no new connection, answers the requests that are under way.
        Some(listener) => web::serve(listener, app, carriers.clone(), stopped).await,
        None => {
            stopped.await;
            Ok(())
        }
    };
    // The last requests' events are in the log by now; what is not carried any more waits there for the next start.
    carriers.stop().await?;
    tracing::info!("stopped");
    Ok(served?)
}

/// Handles what is in the log, retries included.
pub async fn drain(place: &Place) -> Result<(), Box<dyn Error>> {
    log();
    let database = Database::open(place).await?;
    let app = App::new(database.clone(), Layout::Together)?;
    tokio::select! {
        drained = app.events.processor().drain() => drained?,
        () = shutdown_signal() => return Err("interrupted: not everything is handled".into()),
    }
    say(&format!("everything in {database} is handled"));
    Ok(())
}

fn announce(
    listener: &Option<TcpListener>,
    groups: Option<&[String]>,
    database: &Database,
    carriers: &Carriers,
) -> io::Result<()> {
    let by = carriers.broker().map(|broker| format!(", events by {broker}")).unwrap_or_default();
    if let Some(listener) = listener {
        say(&format!("serving http://{} on {database}{by}", listener.local_addr()?));
    }
    if let Some(groups) = groups {
        say(&format!("handling {} on {database}{by}", groups.join(", ")));
    }
    Ok(())
}

/// Logs to stderr; `RUST_LOG` chooses what: `info`, `domain_events=debug`, ...
fn log() {
    let filter = std::env::var("RUST_LOG").ok().and_then(|filter| filter.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| {
        let quiet = Targets::new().with_default(Level::INFO).with_target("sqlx", Level::WARN);
        // RabbitMQ's client calls it an error when a channel that was closed is closed; real ones are in what is returned.
        quiet.with_target("lapin", LevelFilter::OFF)
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines).with(filter).init();
}
