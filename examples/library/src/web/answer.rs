//! What a client reads when a request was not carried out: a status, a code for programs, a sentence for people.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    cards::{CardError, CollectionError},
    problem::Problem,
};

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code) = kind(&self);
        // What is rejected was put into words for the client.
        let detail = if status.is_server_error() && !matches!(self, Self::Rejected(_)) {
            // The cause is for the operator: it can hold paths and statements.
            tracing::error!(error = %self, "a request failed");
            "the request failed; nothing was changed".to_owned()
        } else {
            self.to_string()
        };
        (status, Json(json!({ "error": code, "detail": detail }))).into_response()
    }
}

fn kind(problem: &Problem) -> (StatusCode, &'static str) {
    match problem {
        Problem::Url(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_url"),
        Problem::Curator(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_curator"),
        Problem::Collection(CollectionError::Name(_) | CollectionError::Control(_)) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid_name")
        }
        Problem::Unknown { .. } => (StatusCode::NOT_FOUND, "not_found"),
        Problem::Card(CardError::NotInLibrary { .. }) => (StatusCode::NOT_FOUND, "not_in_library"),
        Problem::Collection(CollectionError::NotInCollection { .. }) => (StatusCode::NOT_FOUND, "not_in_collection"),
        Problem::Card(CardError::AlreadyInLibrary { .. })
        | Problem::Collection(CollectionError::AlreadyInCollection { .. })
        | Problem::Duplicate(_) => (StatusCode::CONFLICT, "duplicate"),
        Problem::Rejected(rejected) => (rejected.status, request(rejected.status)),
        conflict if conflict.is_conflict() => (StatusCode::CONFLICT, "conflict"),
        Problem::Database(error) if error.is_temporary() => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Problem::Database(_) | Problem::Corrupt(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn request(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "no_such_route",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "not_json",
        StatusCode::MISDIRECTED_REQUEST => "elsewhere",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        _ => "malformed",
    }
}
