//! Feeds over HTTP.

use axum::{Json, Router, extract::State, routing::get};

use super::Story;
use crate::{app::App, curators::CuratorId, problem::Problem, web::Params};

pub fn routes() -> Router<App> {
    Router::new().route("/curators/{curator}/feed", get(feed))
}

async fn feed(State(app): State<App>, Params(curator): Params<String>) -> Result<Json<Vec<Story>>, Problem> {
    let curator: CuratorId = curator.parse()?;
    app.known(&curator).await?;
    Ok(Json(app.stories.of(&curator).await?))
}
