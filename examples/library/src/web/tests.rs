//! What the API refuses, and how: through the real router, without a port.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header::CONTENT_TYPE},
};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{BODY_LIMIT, router};
use crate::{
    app::App,
    database::{Database, Place, on_each_database},
    layout::Layout,
};

fn api(database: Database) -> Router {
    router(App::new(database, Layout::Together).expect("an application"))
}

async fn send(api: &Router, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    let answer = api.clone().oneshot(request).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn every_mistake_is_answered_in_json_with_a_code_and_a_sentence() {
    on_each_database(async |database| {
        let api = api(database);
        let ada = r#"{"id": "ada", "name": "Ada", "public": true}"#;
        assert_eq!(send(&api, "POST", "/curators", ada).await.0, 201);
        assert_eq!(send(&api, "POST", "/cards", r#"{"url": "https://example.com"}"#).await.0, 201);
        let (status, collection) = send(&api, "POST", "/collections", r#"{"curator": "ada", "name": "To read"}"#).await;
        assert_eq!(status, 201);
        let in_collection = format!("/collections/{}/cards/none", collection["id"].as_str().expect("an id"));

        let too_large = format!(r#"{{"url": "{}"}}"#, "x".repeat(BODY_LIMIT));
        for (method, path, body, status, code) in [
            ("POST", "/cards", r#"{"url": "not a url"}"#, 422, "invalid_url"),
            ("POST", "/cards", r#"{"url": "ftp://example.com"}"#, 422, "invalid_url"),
            ("POST", "/cards", r#"{"url": "https://example.com/"}"#, 409, "duplicate"),
            ("POST", "/cards", r#"{"url": 7}"#, 422, "malformed"),
            ("POST", "/cards", "{", 400, "malformed"),
            ("POST", "/cards", "\u{0}", 400, "malformed"),
            ("POST", "/cards", too_large.as_str(), 413, "too_large"),
            ("POST", "/curators", ada, 409, "duplicate"),
            ("POST", "/curators", r#"{"id": "A b", "name": "Ada"}"#, 422, "invalid_curator"),
            ("POST", "/curators", r#"{"id": "b", "name": " "}"#, 422, "invalid_curator"),
            ("POST", "/curators", r#"{"id": "b", "name": "B\u0000"}"#, 422, "invalid_curator"),
            ("PUT", "/curators/ada/followers/ada", "", 422, "invalid_curator"),
            ("PUT", "/curators/ada/followers/bob", "", 404, "not_found"),
            ("PUT", "/curators/ada/library/none", "", 404, "not_found"),
            ("PUT", "/curators/bob/library/none", "", 404, "not_found"),
            ("DELETE", "/curators/ada/library/none", "", 404, "not_found"),
            ("POST", "/collections", r#"{"curator": "ada", "name": ""}"#, 422, "invalid_name"),
            ("POST", "/collections", r#"{"curator": "ada", "name": "A\u0000"}"#, 422, "invalid_name"),
            ("POST", "/collections", r#"{"curator": "ada", "name": "To read"}"#, 409, "duplicate"),
            ("POST", "/collections", r#"{"curator": "bob", "name": "x"}"#, 404, "not_found"),
            ("PUT", "/collections/none/cards/none", "", 404, "not_found"),
            ("PUT", in_collection.as_str(), "", 404, "not_found"),
            ("DELETE", in_collection.as_str(), "", 404, "not_in_collection"),
            ("GET", "/cards/none", "", 404, "not_found"),
            ("GET", "/curators/bob/feed", "", 404, "not_found"),
            ("GET", "/curators/%ff/feed", "", 400, "malformed"),
            ("GET", "/cards/%00", "", 400, "malformed"),
            ("GET", "/search?q=%00", "", 400, "malformed"),
            ("GET", "/search", "", 400, "malformed"),
            ("GET", "/nowhere", "", 404, "no_such_route"),
            ("PATCH", "/cards", "", 405, "method_not_allowed"),
        ] {
            let (found, answer) = send(&api, method, path, body).await;
            assert_eq!((found, answer["error"].as_str()), (status, Some(code)), "{method} {path} {body:.60}: {answer}");
            assert!(answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{method} {path}: {answer}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_does_not_say_it_is_json_is_refused() {
    on_each_database(async |database| {
        let api = api(database);
        let request = Request::builder().method("POST").uri("/cards").body(Body::from("{}")).expect("a request");
        assert_eq!(api.oneshot(request).await.expect("an answer").status(), 415);
    })
    .await;
}

#[tokio::test]
async fn a_card_goes_in_and_out_of_a_library() {
    on_each_database(async |database| {
        let api = api(database);
        send(&api, "POST", "/curators", r#"{"id": "ada", "name": "Ada"}"#).await;
        let (_, card) = send(&api, "POST", "/cards", r#"{"url": "https://example.com"}"#).await;
        let id = card["id"].as_str().expect("an id");
        let path = format!("/curators/ada/library/{id}");
        assert_eq!(send(&api, "PUT", &path, "").await.0, 204);
        assert_eq!(send(&api, "PUT", &path, "").await, (409, send(&api, "PUT", &path, "").await.1));
        assert_eq!(send(&api, "GET", &format!("/cards/{id}"), "").await.1["libraries"], serde_json::json!(["ada"]));
        assert_eq!(send(&api, "DELETE", &path, "").await.0, 204);
        assert_eq!(send(&api, "DELETE", &path, "").await.1["error"], "not_in_library");
        assert_eq!(send(&api, "GET", "/health", "").await.1["status"], "ok");
    })
    .await;
}

#[tokio::test]
async fn what_another_process_keeps_is_not_answered_from_this_ones_tables() {
    let database = Database::open(&Place::Memory).await.expect("a database");
    let layout = Layout::Apart { groups: vec!["feeds".to_owned()], web: None, workers: Vec::new() };
    let api = router(App::new(database, layout).expect("an application"));
    send(&api, "POST", "/curators", r#"{"id": "ada", "name": "Ada", "public": true}"#).await;
    assert_eq!(send(&api, "GET", "/curators/ada/feed", "").await.0, 200);
    for path in ["/search?q=x", "/curators/ada/activity", "/curators/ada/notifications"] {
        let (status, answer) = send(&api, "GET", path, "").await;
        assert_eq!((status, answer["error"].as_str()), (421, Some("elsewhere")), "{path}: {answer}");
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("`LIBRARY_WORKERS=http://host:port`"), "{path}: {detail}");
    }
    assert_eq!(send(&api, "PATCH", "/search?q=x", "").await.0, 405);
    // Of the profile, all is known but what is counted elsewhere.
    let (status, profile) = send(&api, "GET", "/curators/ada", "").await;
    assert_eq!((status, &profile["name"], &profile["collections"]), (200, &"Ada".into(), &Value::Null));
}

#[tokio::test]
async fn a_worker_serves_what_its_handlers_keep_and_nothing_else() {
    let database = Database::open(&Place::Memory).await.expect("a database");
    let web = "http://127.0.0.1:1".parse().expect("an address");
    let layout = Layout::Apart { groups: vec!["search".to_owned()], web: Some(web), workers: Vec::new() };
    let api = router(App::new(database, layout).expect("an application"));
    assert_eq!(send(&api, "GET", "/search?q=x", "").await, (200, serde_json::json!([])));
    assert_eq!(send(&api, "GET", "/health", "").await.0, 200);
    assert_eq!(send(&api, "GET", "/curators/ada/feed", "").await.0, 421);
    for (method, path) in [("POST", "/curators"), ("POST", "/cards"), ("GET", "/profiles/ada")] {
        assert_eq!(send(&api, method, path, "{}").await.0, 404, "{path}");
    }
}
