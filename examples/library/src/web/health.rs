//! Health: whether the database and the broker answer, and what has been given up on.

use std::sync::Arc;

use axum::{Extension, Json, Router, extract::State, routing::get};
use domain_events::transport::Health;
use serde_json::{Value, json};

use crate::{app::App, carriers::Carriers, problem::Problem};

pub fn routes() -> Router<App> {
    Router::new().route("/health", get(health))
}

/// `ok`, or `degraded` where deliveries wait for a person or for the broker: the API works, something behind it does not.
async fn health(State(app): State<App>, carriers: Option<Extension<Arc<Carriers>>>) -> Result<Json<Value>, Problem> {
    let letters = app.events.admin().dead_letters(None, 100).await?;
    let mut dead_letters: Vec<_> =
        letters.iter().map(|letter| json!({ "handler": &*letter.handler, "error": letter.error })).collect();
    let mut answer = json!({});
    let mut broken = false;
    if let Some(Extension(carriers)) = carriers
        && let Some(broker) = carriers.broker()
    {
        let (relay, consumer) = carriers.links();
        broken = relay.iter().chain(&consumer).any(|link| link.error.is_some());
        answer["transport"] = broker.into();
        answer["relay"] = relay.as_ref().map_or(Value::Null, link);
        answer["consumer"] = consumer.iter().map(link).collect();
        // A broker that is away is told of above.
        dead_letters.extend(carriers.dead_letters().await.unwrap_or_default());
    }
    answer["status"] = if broken || !dead_letters.is_empty() { "degraded" } else { "ok" }.into();
    answer["dead_letters"] = dead_letters.into();
    Ok(Json(answer))
}

fn link(health: &Health) -> Value {
    json!({ "name": &*health.name, "connected": health.connected, "since": health.since, "error": health.error })
}
