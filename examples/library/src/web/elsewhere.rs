//! Routes whose tables are in another process's database: that one is asked, and its answer passed on.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};

use crate::{app::App, layout::Layout, problem::Problem};

/// Whom to ask for what a group keeps.
#[derive(Clone)]
struct Elsewhere {
    group: &'static str,
    layout: Layout,
}

/// These routes, answered by the worker that runs the handlers of this group.
pub(super) fn ask(routes: Router<App>, group: &'static str, layout: &Layout) -> Router<App> {
    routes.layer(from_fn_with_state(Elsewhere { group, layout: layout.clone() }, pass_on))
}

async fn pass_on(State(to): State<Elsewhere>, request: Request, next: Next) -> Result<Response, Problem> {
    // The routes themselves say what can't be asked for like that.
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(next.run(request).await);
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let answer = to.layout.ask(to.group, path).await?;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    Ok((status, Json(answer.body)).into_response())
}
