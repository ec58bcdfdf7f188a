//! Where the demo is played: in a database of its own, which is gone afterwards. What is there already is left alone.

use std::{error::Error, fmt};

use domain_events::{PostgresStore, store::postgres::PostgresOptions};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use uuid::Uuid;

use crate::database::{Database, Place};

/// A database made for one performance.
pub(super) struct Venue {
    database: Database,
    site: Site,
}

enum Site {
    /// A file in a folder for temporary files.
    Folder(TempDir),
    /// A new schema in the database that `DATABASE_URL` names.
    Schema { name: String, store: PostgresStore },
}

impl Venue {
    /// In the PostgreSQL database of this place, or else in a SQLite file.
    pub(super) async fn open(place: &Place) -> Result<Self, Box<dyn Error>> {
        match place {
            Place::Postgres(url) => Self::in_schema(url, format!("library_demo_{}", Uuid::now_v7().simple())).await,
            Place::File(_) | Place::Sqlite(_) | Place::Memory => {
                let folder = tempfile::tempdir()?;
                let database = Database::open(&Place::File(folder.path().join("library.db"))).await?;
                Ok(Self { database, site: Site::Folder(folder) })
            }
        }
    }

    async fn in_schema(url: &str, name: String) -> Result<Self, Box<dyn Error>> {
        // The framework names its schema in every statement; the contexts' tables are found by the search path.
        let parameter = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{parameter}options=-csearch_path%3D{name}");
        let store = PostgresStore::connect_with(&url, PostgresOptions::new().schema(&name)).await?;
        let site = Site::Schema { name, store: store.clone() };
        match Database::on(store.into()).await {
            Ok(database) => Ok(Self { database, site }),
            Err(error) => {
                site.clear().await?;
                Err(error.into())
            }
        }
    }

    pub(super) fn database(&self) -> Database {
        self.database.clone()
    }

    /// Removes it.
    pub(super) async fn close(self) -> Result<(), Box<dyn Error>> {
        self.site.clear().await
    }
}

impl Site {
    async fn clear(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Folder(folder) => Ok(folder.close()?),
            Self::Schema { name, store } => {
                // The name was made here, so it is safe in a statement, and nobody else has it.
                let dropped =
                    sqlx::query(AssertSqlSafe(format!("drop schema {name} cascade"))).execute(store.pool()).await;
                Ok(dropped.map(drop).map_err(|error| format!("the demo's schema `{name}` is still there: {error}"))?)
            }
        }
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.site {
            Site::Folder(_) => f.write_str("one SQLite file"),
            Site::Schema { name, .. } => write!(f, "{}, schema {name}", self.database),
        }
    }
}
