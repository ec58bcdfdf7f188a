//! Activity over HTTP.

use axum::{Json, Router, extract::State, routing::get};

use super::Activity;
use crate::{app::App, curators::CuratorId, problem::Problem, web::Params};

pub fn routes() -> Router<App> {
    Router::new().route("/curators/{curator}/activity", get(activity))
}

async fn activity(State(app): State<App>, Params(curator): Params<String>) -> Result<Json<Activity>, Problem> {
    let curator: CuratorId = curator.parse()?;
    app.known(&curator).await?;
    Ok(Json(app.counters.of(&curator).await?))
}
