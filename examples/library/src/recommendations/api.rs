//! Recommendations over HTTP.

use axum::{Json, Router, extract::State, routing::get};

use super::Suggestion;
use crate::{app::App, curators::CuratorId, problem::Problem, web::Params};

pub fn routes() -> Router<App> {
    Router::new().route("/curators/{curator}/recommendations", get(recommendations))
}

async fn recommendations(
    State(app): State<App>,
    Params(curator): Params<String>,
) -> Result<Json<Vec<Suggestion>>, Problem> {
    let curator: CuratorId = curator.parse()?;
    app.known(&curator).await?;
    Ok(Json(app.taste.suggestions(&curator).await?))
}
