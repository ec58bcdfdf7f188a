//! Curators over HTTP.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CuratorId, Profile};
use crate::{
    analytics,
    app::App,
    problem::Problem,
    web::{Body, Params},
};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/curators", post(join))
        .route("/curators/{curator}", get(profile))
        .route("/profiles/{curator}", get(shared_profile))
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
    let profile = app.known(&id).await?;
    Ok(Json(json!({
        "id": id,
        "name": profile.name,
        "public": profile.is_public,
        "followers": profile.followers,
        "collections": collections_created(&app, &id).await?,
    })))
}

/// Profile statistics are counted by a handler; `null` while nobody is there who knows them.
async fn collections_created(app: &App, id: &CuratorId) -> Result<Value, Problem> {
    if app.layout.keeps(analytics::GROUP) {
        return Ok(app.counters.of(id).await?.collections_created.into());
    }
    let answer = app.layout.ask(analytics::GROUP, &format!("/curators/{id}/activity")).await;
    Ok(answer.map_or(Value::Null, |answer| answer.body["collections_created"].clone()))
}

/// What other contexts may know: where they run in processes of their own, they ask here.
async fn shared_profile(State(app): State<App>, Params(curator): Params<String>) -> Result<Json<Profile>, Problem> {
    Ok(Json(app.known(&curator.parse()?).await?))
}

async fn follow(
    State(app): State<App>,
    Params((curator, follower)): Params<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.profiles.follow(&curator.parse()?, &follower.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
