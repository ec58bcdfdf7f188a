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

use std::error::Error;

use domain_events::shutdown_signal;
use tokio::{net::TcpListener, sync::oneshot};

use self::{client::Client, gateway::Gateway, journal::Journal, stage::Stage, venue::Venue};
use crate::{app::App, database::Place, say, web};

/// Plays, checks, and fails naming what is missing.
pub async fn run(place: &Place) -> Result<(), Box<dyn Error>> {
    let venue = Venue::open(place).await?;
    let played = play(&venue).await;
    venue.close().await?;
    played
}

async fn play(venue: &Venue) -> Result<(), Box<dyn Error>> {
    let journal = Journal::listen();
    let app = App::with_notifications(venue.database(), Gateway::away_once)?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let processor = app.events.processor().start().await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(web::serve(listener, app, async {
        let _ = stopped.await;
    }));

    say(&format!("The library demo: a real server, a real processor, {venue}."));
    say(&format!("http://{address}; times are from the commit to the end of the handler.\n"));
    let mut stage = Stage::new(Client::new(address), journal);
    let played = tokio::select! {
        played = scenarios::play(&mut stage) => played,
        () = shutdown_signal() => Err("interrupted".into()),
    };

    let _ = stop.send(());
    server.await??;
    processor.shutdown().await?;
    played?;
    stage.finish()
}
