//! `library demo`: plays every scenario on a fresh database, through the real HTTP API and the real processor, and
//! checks the outcome.
//!
//! `scenarios` is the play, `stage` what it is played on, `client` the audience's questions over HTTP, `journal` what the
//! handlers did, `gateway` a notification service that is away when it is needed first.

mod client;
mod gateway;
mod journal;
mod scenarios;
mod stage;

use std::error::Error;

use tokio::{net::TcpListener, sync::oneshot};

use self::{client::Client, gateway::Gateway, journal::Journal, stage::Stage};
use crate::{app::App, database::Database, say, web};

/// Plays, checks, and fails naming what is missing.
pub async fn run() -> Result<(), Box<dyn Error>> {
    let journal = Journal::listen();
    let folder = tempfile::tempdir()?;
    let database = Database::open(&folder.path().join("library.db")).await?;
    let app = App::with_notifications(database, Gateway::away_once)?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let processor = app.events.processor().start().await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(web::serve(listener, app, async {
        let _ = stopped.await;
    }));

    say("The library demo: a real server, a real processor, one SQLite file.");
    say(&format!("http://{address}; times are from the commit to the end of the handler.\n"));
    let mut stage = Stage::new(Client::new(address), journal);
    let played = scenarios::play(&mut stage).await;

    let _ = stop.send(());
    server.await??;
    processor.shutdown().await?;
    played?;
    stage.finish()
}
