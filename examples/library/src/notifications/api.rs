//! Notifications over HTTP.

use axum::{Json, Router, extract::State, routing::get};

use crate::{app::App, curators::CuratorId, problem::Problem, web::Params};

pub fn routes() -> Router<App> {
    Router::new().route("/curators/{curator}/notifications", get(notifications))
}

async fn notifications(State(app): State<App>, Params(curator): Params<String>) -> Result<Json<Vec<String>>, Problem> {
    let curator: CuratorId = curator.parse()?;
    app.known(&curator).await?;
    Ok(Json(app.inbox.of(&curator).await?))
}
