//! `library demo`: plays every scenario on a fresh database, through the real HTTP API and the real processor, and
//! checks the outcome.
//!
//! `scenarios` is the play, `stage` what it is played on, `client` the audience's questions over HTTP, `journal` what
//! the handlers did, `gateway` a notification service that is away when it is needed first, `venue` the database.

mod client;
mod gateway;
mod journal;
mod scenarios;
mod stage;
mod venue;

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use domain_events::{shutdown_signal, transport::Transport};
use tokio::{net::TcpListener, sync::oneshot};
use uuid::Uuid;

use self::{client::Client, gateway::Gateway, journal::Journal, stage::Stage, venue::Venue};
use crate::{
    app::{App, GROUPS},
    broker::Broker,
    carriers::Carriers,
    database::Place,
    layout::Layout,
    say, web,
};

/// How long the broker may take to be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays, checks, and fails naming what is missing.
pub async fn run(place: &Place, broker: Option<&Broker>) -> Result<(), Box<dyn Error>> {
    // Under names of its own, so that what else uses the broker is left alone.
    let prefix = format!("library_demo_{}", Uuid::now_v7().simple());
    let transport = broker.map(|broker| broker.under(&prefix).transport()).transpose()?;
    let venue = Venue::open(place).await?;
    let played = play(&venue, transport).await;
    venue.close().await?;
    played
}

async fn play(venue: &Venue, transport: Option<Arc<dyn Transport>>) -> Result<(), Box<dyn Error>> {
    let journal = Journal::listen();
    let app = App::with_notifications(venue.database(), Layout::Together, Gateway::away_once)?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let groups = GROUPS.map(str::to_owned);
    let (carriers, carrier) = match transport {
        Some(transport) => {
            let carrier = format!("a real broker, {}", transport.address());
            (Carriers::on_transport(&app, transport, Some(&groups)).await?, carrier)
        }
        None => (Carriers::on_log(&app, Some(&groups)).await?, "a real processor".to_owned()),
    };
    connected(&carriers).await?;
    let carriers = Arc::new(carriers);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(web::serve(listener, app, carriers.clone(), async {
        let _ = stopped.await;
    }));

    say(&format!("The library demo: a real server, {carrier}, {venue}."));
    say(&format!("http://{address}; times are from the commit to the end of the handler.\n"));
    let mut stage = Stage::new(Client::new(address), journal);
    let played = tokio::select! {
        played = scenarios::play(&mut stage) => played,
        () = shutdown_signal() => Err("interrupted".into()),
    };

    let _ = stop.send(());
    server.await??;
    carriers.stop().await?;
    played?;
    stage.finish()
}

/// Waits until the broker is reached: Redis Pub/Sub keeps nothing for those who are not there yet.
async fn connected(carriers: &Carriers) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let (relay, consumer) = carriers.links();
        let Some(missing) = relay.into_iter().chain(consumer).find(|link| !link.connected) else { return Ok(()) };
        if Instant::now() > until {
            let why = missing.error.unwrap_or_else(|| "it does not answer".to_owned());
            return Err(format!("no way to the broker: {why}"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
