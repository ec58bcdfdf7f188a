//! What only the SQLite store promises: about the file, other processes, and what other programs put into it.

mod file;
mod foreign;
mod processes;

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{SqliteConnection, sqlite::SqliteConnectOptions};

use super::{SqliteOptions, SqliteStore};
use crate::error::Result;

/// A folder of its own for one test, removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("domain-events-test-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("library.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A store that does not wait long for another one.
async fn impatient(path: &Path) -> Result<SqliteStore> {
    SqliteStore::open_with(path, SqliteOptions::new().busy_timeout(Duration::from_millis(20))).await
}

/// A connection of an application that knows nothing of the store's.
async fn foreign(path: &Path) -> SqliteConnection {
    use sqlx::ConnectOptions;
    SqliteConnectOptions::new().filename(path).connect().await.expect("the file exists")
}

async fn run(connection: &mut SqliteConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.expect(sql);
}

/// Runs each on a thread of its own, as processes do.
fn at_once<T: Send>(works: impl IntoIterator<Item = impl Future<Output = Result<T>> + Send>) -> Vec<Result<T>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = works
            .into_iter()
            .map(|work| {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                    runtime.expect("a runtime").block_on(work)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}
