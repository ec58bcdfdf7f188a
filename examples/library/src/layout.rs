//! Where the parts of the application are, as one process sees it: what it answers itself, and whom it asks for the rest.

use axum::http::StatusCode;

use crate::{
    peer::{Answer, Peer},
    problem::Problem,
    web::Rejected,
};

/// Where the parts are.
#[derive(Debug, Clone)]
pub enum Layout {
    /// All tables are in one database, whichever process writes them.
    Together,
    /// A broker is between web and workers: what handlers keep is in the databases of the processes that run them.
    Apart {
        /// The groups whose handlers run in this process.
        groups: Vec<String>,
        /// Where the web process serves; `None` if that is this one.
        web: Option<Peer>,
        /// Where workers can be asked.
        workers: Vec<Peer>,
    },
}

impl Layout {
    /// Whether this process has the cards, collections and curators.
    pub fn has_library(&self) -> bool {
        self.web().is_none()
    }

    /// The process that has them, if it is another one.
    pub fn web(&self) -> Option<&Peer> {
        match self {
            Self::Together => None,
            Self::Apart { web, .. } => web.as_ref(),
        }
    }

    /// Whether what the handlers of this group keep is in this process's database.
    pub fn keeps(&self, group: &str) -> bool {
        match self {
            Self::Together => true,
            Self::Apart { groups, .. } => groups.iter().any(|kept| kept == group),
        }
    }

    /// Asks the worker that runs this group.
    pub async fn ask(&self, group: &str, path: &str) -> Result<Answer, Problem> {
        let workers = match self {
            Self::Together => &[][..],
            Self::Apart { workers, .. } => workers,
        };
        let mut silent = None;
        for worker in workers {
            match worker.get(path).await {
                Ok(answer) if answer.status == StatusCode::MISDIRECTED_REQUEST.as_u16() => {}
                Ok(answer) => return Ok(answer),
                Err(error) => silent = Some(error),
            }
        }
        let (status, detail) = match silent {
            Some(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            None => {
                let detail = format!(
                    "what the handlers of `{group}` keep is in the database of the worker that runs them: ask that one, \
                     or start the web process with `LIBRARY_WORKERS=http://host:port`, where it listens"
                );
                (StatusCode::MISDIRECTED_REQUEST, detail)
            }
        };
        Err(Rejected { status, detail }.into())
    }
}
