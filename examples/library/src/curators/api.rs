//! Curators over HTTP.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::CuratorId;
use crate::{
    app::App,
    problem::Problem,
    web::{Body, Params},
};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/curators", post(join))
        .route("/curators/{curator}", get(profile))
        .route("/curators/{curator}/followers/{follower}", put(follow))
}

#[derive(Deserialize)]
struct NewCurator {
    id: String,
    name: String,
    #[serde(default)]
    public: bool,
}

async fn join(State(app): State<App>, Body(new): Body<NewCurator>) -> Result<(StatusCode, Json<Value>), Problem> {
    let id: CuratorId = new.id.parse()?;
    app.profiles.join(&id, &new.name, new.public).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

async fn profile(State(app): State<App>, Params(curator): Params<String>) -> Result<Json<Value>, Problem> {
    let id: CuratorId = curator.parse()?;
    let profile = app.profiles.known(&id).await?;
    let stats = app.counters.of(&id).await?;
    Ok(Json(json!({
        "id": id,
        "name": profile.name,
        "public": profile.is_public,
        "followers": profile.followers,
        "collections": stats.collections_created,
    })))
}

async fn follow(
    State(app): State<App>,
    Params((curator, follower)): Params<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.profiles.follow(&curator.parse()?, &follower.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
