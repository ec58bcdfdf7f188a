//! Cards, libraries and collections over HTTP.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CardId, CollectionId};
use crate::{
    app::App,
    curators::CuratorId,
    problem::Problem,
    web::{Body, Params},
};

pub fn routes() -> Router<App> {
    Router::new()
        .route("/cards", post(create_card))
        .route("/cards/{card}", get(card))
        .route("/curators/{curator}/library/{card}", put(add_to_library).delete(remove_from_library))
        .route("/collections", post(create_collection))
        .route("/collections/{collection}", get(collection))
        .route("/collections/{collection}/cards/{card}", put(add_to_collection).delete(remove_from_collection))
}

#[derive(Deserialize)]
struct NewCard {
    url: String,
}

#[derive(Deserialize)]
struct NewCollection {
    curator: String,
    name: String,
}

async fn create_card(State(app): State<App>, Body(new): Body<NewCard>) -> Result<(StatusCode, Json<Value>), Problem> {
    let id = app.library.create(new.url.parse()?).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

async fn card(State(app): State<App>, Params(card): Params<CardId>) -> Result<Json<Value>, Problem> {
    let card = app.library.load(&card).await?;
    Ok(Json(json!({ "id": card.id(), "url": card.url(), "libraries": card.libraries() })))
}

async fn add_to_library(
    State(app): State<App>,
    Params((curator, card)): Params<(String, CardId)>,
) -> Result<StatusCode, Problem> {
    let curator: CuratorId = curator.parse()?;
    app.known(&curator).await?;
    app.library.add(&card, &curator).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_from_library(
    State(app): State<App>,
    Params((curator, card)): Params<(String, CardId)>,
) -> Result<StatusCode, Problem> {
    let curator: CuratorId = curator.parse()?;
    app.known(&curator).await?;
    app.library.remove(&card, &curator).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn create_collection(
    State(app): State<App>,
    Body(new): Body<NewCollection>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let curator: CuratorId = new.curator.parse()?;
    app.known(&curator).await?;
    let id = app.collections.create(curator, &new.name).await?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

async fn collection(State(app): State<App>, Params(collection): Params<CollectionId>) -> Result<Json<Value>, Problem> {
    let collection = app.collections.load(&collection).await?;
    Ok(Json(json!({
        "id": collection.id(),
        "curator": collection.curator(),
        "name": collection.name(),
        "cards": collection.cards(),
    })))
}

async fn add_to_collection(
    State(app): State<App>,
    Params((collection, card)): Params<(CollectionId, CardId)>,
) -> Result<StatusCode, Problem> {
    let card = app.library.load(&card).await?;
    app.collections.add(&collection, card.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_from_collection(
    State(app): State<App>,
    Params((collection, card)): Params<(CollectionId, CardId)>,
) -> Result<StatusCode, Problem> {
    app.collections.remove(&collection, &card).await?;
    Ok(StatusCode::NO_CONTENT)
}
