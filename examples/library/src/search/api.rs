//! Search over HTTP.

use axum::{Json, Router, extract::State, routing::get};
use serde::Deserialize;

use super::Hit;
use crate::{app::App, problem::Problem, web::Query};

pub fn routes() -> Router<App> {
    Router::new().route("/search", get(search))
}

#[derive(Deserialize)]
struct Search {
    q: String,
}

async fn search(State(app): State<App>, Query(search): Query<Search>) -> Result<Json<Vec<Hit>>, Problem> {
    Ok(Json(app.index.find(&search.q).await?))
}
