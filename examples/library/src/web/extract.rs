//! axum's extractors, with rejections that say in JSON what was wrong.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// A JSON request body.
pub struct Body<T>(pub T);

/// The parts of the path.
pub struct Params<T>(pub T);

/// The query string.
pub struct Query<T>(pub T);

/// A request that is not one of this API's.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Rejected {
    pub status: StatusCode,
    pub detail: String,
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Rejected { status: rejection.status(), detail: rejection.body_text() }.into()),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        refuse_nul(parts)?;
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(params)) => Ok(Self(params)),
            Err(rejection) => Err(Rejected { status: rejection.status(), detail: rejection.body_text() }.into()),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        refuse_nul(parts)?;
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Rejected { status: rejection.status(), detail: rejection.body_text() }.into()),
        }
    }
}

/// No id and no address has a NUL character in it, and not every database can be asked for one.
fn refuse_nul(parts: &Parts) -> Result<(), Problem> {
    if parts.uri.path_and_query().is_some_and(|uri| uri.as_str().contains("%00")) {
        let detail = "there is a NUL character (`%00`) in the address".to_owned();
        return Err(Rejected { status: StatusCode::BAD_REQUEST, detail }.into());
    }
    Ok(())
}
