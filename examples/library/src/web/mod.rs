//! HTTP: every context brings its routes; here they become one server, and every answer is JSON.

mod answer;
mod elsewhere;
mod extract;
mod health;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
};
pub use extract::{Body, Params, Query, Rejected};
use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    analytics, app::App, cards, carriers::Carriers, curators, feeds, notifications, problem::Problem, recommendations,
    search,
};

/// The largest request body, in bytes.
pub const BODY_LIMIT: usize = 16 * 1024;

/// How long requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// All routes: what is in this process's database is answered from it, for the rest another process is asked.
pub fn router(app: App) -> Router {
    let kept = [
        (analytics::GROUP, analytics::api::routes()),
        (notifications::GROUP, notifications::api::routes()),
        (feeds::GROUP, feeds::api::routes()),
        (recommendations::GROUP, recommendations::api::routes()),
        (search::GROUP, search::api::routes()),
    ];
    let mut routes = health::routes();
    if app.layout.has_library() {
        routes = routes.merge(curators::api::routes()).merge(cards::api::routes());
    }
    for (group, of_group) in kept {
        let here = app.layout.keeps(group);
        routes = routes.merge(if here { of_group } else { elsewhere::ask(of_group, group, &app.layout) });
    }
    routes
        .fallback(async |uri: Uri| rejected(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path())))
        .method_not_allowed_fallback(async |method: Method, uri: Uri| {
            rejected(StatusCode::METHOD_NOT_ALLOWED, format!("{} can't be asked to {method}", uri.path()))
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(app)
}

/// Serves until `stop` resolves; then takes no new connection, and returns when the requests under way are answered.
pub async fn serve(
    listener: TcpListener,
    app: App,
    carriers: Arc<Carriers>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, router(app).layer(Extension(carriers))).with_graceful_shutdown(async move {
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
