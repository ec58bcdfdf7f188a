//! HTTP: every context brings its routes; here they become one server, and every answer is JSON.

mod answer;
mod extract;
mod health;
#[cfg(test)]
mod tests;

use std::{io, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
};
pub use extract::{Body, Params, Query, Rejected};
use tokio::{net::TcpListener, sync::oneshot};

use crate::{analytics, app::App, cards, curators, feeds, notifications, problem::Problem, recommendations, search};

/// The largest request body, in bytes.
pub const BODY_LIMIT: usize = 16 * 1024;

/// How long requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// All routes.
pub fn router(app: App) -> Router {
    Router::new()
        .merge(curators::api::routes())
        .merge(cards::api::routes())
        .merge(analytics::api::routes())
        .merge(notifications::api::routes())
        .merge(feeds::api::routes())
        .merge(recommendations::api::routes())
        .merge(search::api::routes())
        .merge(health::routes())
        .fallback(async |uri: Uri| rejected(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path())))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            rejected(StatusCode::METHOD_NOT_ALLOWED, format!("{} can't be asked to {method}", uri.path()))
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(app)
}

/// Serves until `stop` resolves; then takes no new connection, and returns when the requests under way are answered.
pub async fn serve(listener: TcpListener, app: App, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, router(app)).with_graceful_shutdown(async move {
        stop.await;
        let _ = stopping.send(());
    });
    // A client that never finishes its request must not keep the process from stopping.
    let too_long = async {
        let _ = stopped.await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        done = server => done,
        () = too_long => {
            tracing::warn!("some requests were not finished within {GRACE:?} and are cut off");
            Ok(())
        }
    }
}

fn rejected(status: StatusCode, detail: String) -> Problem {
    Rejected { status, detail }.into()
}
