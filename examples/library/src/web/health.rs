//! Health: whether the database answers, and what has been given up on.

use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};

use crate::{app::App, problem::Problem};

pub fn routes() -> Router<App> {
    Router::new().route("/health", get(health))
}

/// `ok`, or `degraded` where deliveries wait for a person: the API works, something behind it does not.
async fn health(State(app): State<App>) -> Result<Json<Value>, Problem> {
    let dead_letters = app.events.admin().dead_letters(None, 100).await?;
    let status = if dead_letters.is_empty() { "ok" } else { "degraded" };
    let dead_letters: Vec<_> =
        dead_letters.iter().map(|letter| json!({ "handler": &*letter.handler, "error": letter.error })).collect();
    Ok(Json(json!({ "status": status, "dead_letters": dead_letters })))
}
