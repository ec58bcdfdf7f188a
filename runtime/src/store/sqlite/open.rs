//! Finding and opening the file: options, URLs, the connections and their settings.

use std::{
    path::Path,
    str::FromStr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Shared, SqliteStore,
    error::from_sqlx,
    file::{Opened, PrivateFile},
};
use crate::error::{Error, ErrorKind, Result};

/// How a SQLite file is opened.
///
/// ```
/// use domain_events::store::sqlite::SqliteOptions;
/// use std::time::Duration;
///
/// let options = SqliteOptions::new().busy_timeout(Duration::from_secs(10)).read_connections(8);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    busy_timeout: Duration,
    poll_interval: Duration,
    read_connections: u32,
    migrate: bool,
}

impl SqliteOptions {
    /// The options [`SqliteStore::open`] uses.
    #[must_use]
    pub fn new() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            poll_interval: Duration::from_millis(20),
            read_connections: 4,
            migrate: true,
        }
    }

    /// How long a write waits for another process that is writing. Default: 5 seconds.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How often the file is looked at for the commits of other processes. From 1 to 200 milliseconds; default: 20.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.clamp(Duration::from_millis(1), Duration::from_millis(200));
        self
    }

    /// How many connections [`SqliteStore::pool`] has at most. Default: 4.
    #[must_use]
    pub fn read_connections(mut self, connections: u32) -> Self {
        self.read_connections = connections.max(1);
        self
    }

    /// Whether opening creates the file and brings its tables to this version. Default: `true`. With `false`, call
    /// [`SqliteStore::migrate`] when it suits; [`schema`](crate::store::EventLog::schema) says what is there.
    #[must_use]
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SqliteStore {
    /// Opens a file, creating it and the tables where they are missing.
    ///
    /// The file is set to WAL mode. The tables are all named `event_...`; the application's own are left alone.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = std::env::temp_dir().join(format!("domain-events-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// use domain_events::store::{EventLog, SqliteStore};
    ///
    /// let store = SqliteStore::open(folder.join("library.db")).await?;
    ///
    /// let mut transaction = store.begin().await?;
    /// sqlx::query("CREATE TABLE card (id TEXT PRIMARY KEY)").execute(&mut *transaction).await?;
    /// store.commit(transaction).await?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) if the folder is missing; [`Corrupt`](ErrorKind::Corrupt) if the
    /// file is not a database; [`Schema`](ErrorKind::Schema) if its tables are newer than this code, or others have
    /// their names; [`Unavailable`](ErrorKind::Unavailable) if it is locked for longer than the busy timeout.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteOptions::new()).await
    }

    /// Opens a file in another way than [`open`](Self::open) does.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_with(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = path.as_ref();
        // Both names have a meaning of their own to SQLite: a database that only one connection sees.
        if path == Path::new(":memory:") {
            return Self::in_memory_with(options).await;
        }
        if path.as_os_str().is_empty() {
            let message = "the path of the SQLite file is empty; name a file, or use `SqliteStore::in_memory()`";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let connect = SqliteConnectOptions::new().filename(path).create_if_missing(options.migrate);
        Self::establish(connect, options, None).await
    }

    /// Opens a file by its URL, `sqlite://library.db` (relative) or `sqlite:///var/lib/library.db`;
    /// `sqlite::memory:` is [`in_memory`](Self::in_memory).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Configuration`](ErrorKind::Configuration) if it is not such a URL.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, SqliteOptions::new()).await
    }

    /// Opens a file by its URL in another way than [`connect`](Self::connect) does.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: SqliteOptions) -> Result<Self> {
        let problem = |problem: String| Error::new(ErrorKind::Configuration, problem);
        let Some(rest) = url.strip_prefix("sqlite:") else {
            return Err(problem(format!("`{url}` is not the URL of a SQLite file; write `sqlite://path/to/file.db`")));
        };
        let file = rest.strip_prefix("//").unwrap_or(rest);
        let (file, parameters) = file.split_once('?').unwrap_or((file, ""));
        if file == ":memory:" || parameters.contains("mode=memory") {
            return Self::in_memory_with(options).await;
        }
        if file.is_empty() {
            return Err(problem(format!("`{url}` names no file; write `sqlite://path/to/file.db`")));
        }
        let connect = SqliteConnectOptions::from_str(url)
            .map_err(|error| problem(format!("the URL `{url}` can't be used: {error}")).with_source(error))?;
        // A mode in the URL says itself whether to create the file.
        let connect = match parameters.contains("mode=") {
            true => connect,
            false => connect.create_if_missing(options.migrate),
        };
        Self::establish(connect, options, None).await
    }

    /// A store for tests, gone with its last clone.
    ///
    /// It is a file in the folder for temporary files, written without waiting for the disk: SQLite's own databases in
    /// memory can't be read while they are written to.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn in_memory() -> Result<Self> {
        Self::in_memory_with(SqliteOptions::new()).await
    }

    async fn in_memory_with(options: SqliteOptions) -> Result<Self> {
        let file = PrivateFile(std::env::temp_dir().join(format!("domain-events-{}.db", Uuid::now_v7())));
        let connect = SqliteConnectOptions::new().filename(&file.0).create_if_missing(true);
        Self::establish(connect, options, Some(file)).await
    }

    async fn establish(
        connect: SqliteConnectOptions,
        options: SqliteOptions,
        private: Option<PrivateFile>,
    ) -> Result<Self> {
        let path = connect.get_filename().to_owned();
        // Large pages are read without a switch of threads for every few rows; many sizes of appends are kept prepared.
        let connect = connect
            .busy_timeout(options.busy_timeout)
            .foreign_keys(true)
            .pragma("synchronous", if private.is_some() { "OFF" } else { "FULL" })
            .row_buffer_size(256)
            .statement_cache_capacity(200);
        super::schema::prepare_file(&connect, &options).await.map_err(|error| from_sqlx(&path, error))?;
        // It is there now: a connection that is opened later must not put an empty file where it was taken away.
        let connect = connect.create_if_missing(false);

        // A file does not go away as a server does: nothing to test before a connection is used.
        let pool = |connections| {
            let pool = SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
            pool.before_acquire(|connection, _| Box::pin(is_sound(connection)))
        };
        let store = Self {
            shared: Arc::new(Shared {
                writer: pool(1).idle_timeout(None).max_lifetime(None).connect_lazy_with(connect.clone()),
                reader: pool(4).connect_lazy_with(connect.clone()),
                queries: pool(options.read_connections).connect_lazy_with(connect),
                opened: Opened::at(&path),
                path,
                poll_interval: options.poll_interval,
                committed: Notify::new(),
                schema_found: AtomicU32::new(0),
                private,
            }),
        };
        match options.migrate {
            true => store.migrate().await?,
            false => store.find_schema().await?,
        }
        Ok(store)
    }
}

/// SQLite ends a transaction by itself after some errors, such as a full disk, and the driver then counts one too many
/// for ever: only a new connection helps.
async fn is_sound(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // What was dropped is rolled back by the connection's thread: after this, it has been.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

impl SqliteOptions {
    pub(super) fn creates(&self) -> bool {
        self.migrate
    }

    pub(super) fn patience(&self) -> Duration {
        self.busy_timeout
    }
}
