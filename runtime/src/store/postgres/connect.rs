//! Finding the server: URLs, the connections and their settings.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, atomic::AtomicU32},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{PostgresOptions, PostgresStore, Shared, error::from_sqlx, partition::Partitioning, wake::Wake};
use crate::error::{Error, ErrorKind, Result};

/// A connection that was given back, which is when the pool looks whether it lives, less than this ago is lent without
/// another look: that would cost every transaction a round trip.
const FRESH: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// Connects to a database by its URL, `postgres://user:password@host:5432/database`, and brings the store's tables
    /// to the version this code needs.
    ///
    /// The URL's parameters are those of libpq (`sslmode=verify-full`, `sslrootcert=..`, `application_name=..`); what is
    /// missing comes from the environment (`PGUSER`, `PGPASSWORD`, ..). No error and no `Debug` shows the password.
    ///
    /// ```no_run
    /// use domain_events::{DomainEvents, PostgresStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> domain_events::Result<()> {
    /// let store = PostgresStore::connect("postgres://app@localhost/library").await?;
    /// let events = DomainEvents::builder().store(store).build()?;
    /// # drop(events);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) if it is not such a URL, the server refuses user or password, or it is
    /// a standby; [`Schema`](ErrorKind::Schema) if its tables are newer than this code, or others have their names;
    /// [`Unavailable`](ErrorKind::Unavailable) if the server does not answer.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, PostgresOptions::new()).await
    }

    /// Connects in another way than [`connect`](Self::connect) does.
    ///
    /// ```no_run
    /// use domain_events::{PostgresStore, store::postgres::PostgresOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> domain_events::Result<()> {
    /// let options = PostgresOptions::new().schema("events").transaction_pooling();
    /// let store = PostgresStore::connect_with("postgres://app@pgbouncer:6432/library", options).await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(url: &str, options: PostgresOptions) -> Result<Self> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            // Not the text itself: it may hold a password.
            let message = "this is not the URL of a PostgreSQL database; write `postgres://user@host/database`";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let connect = PgConnectOptions::from_str(url).map_err(|error| {
            let message = format!("the URL of the PostgreSQL database can't be used: {error}");
            Error::new(ErrorKind::Configuration, message)
        })?;
        let connect = if options.prepares() { connect } else { for_proxy(connect) };
        // A first connection of its own: a pool would go on trying until its time is over.
        let first = connect.connect().await.map_err(|error| from_sqlx(&place(&connect), error))?;
        let _ = first.close().await;
        let pool = PgPoolOptions::new()
            .max_connections(options.pool_size())
            .acquire_timeout(options.patience())
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for >= FRESH {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect);
        Self::from_pool(pool, options).await
    }

    /// A store that shares the application's pool. For reading, leases and positions it makes a few connections of its
    /// own, to the same server with the same settings.
    ///
    /// ```no_run
    /// use domain_events::{PostgresStore, store::postgres::PostgresOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = sqlx::PgPool::connect("postgres://app@localhost/library").await?;
    /// let store = PostgresStore::from_pool(pool, PostgresOptions::new()).await?;
    /// # drop(store);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn from_pool(pool: PgPool, options: PostgresOptions) -> Result<Self> {
        let schema = options.schema_name();
        if schema.is_empty() || schema.len() > 63 || schema.contains('\0') {
            let message = format!("`{schema}` can't be the name of a schema; give it 1 to 63 bytes");
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let prefix = format!("\"{}\".", schema.replace('"', "\"\""));
        let connect = (*pool.connect_options()).clone();
        // A processor's statements are many, short, and made to be answered from an index: compiling them costs more than
        // it saves, and reading the whole log is never the better plan.
        let ours = match options.prepares() {
            true => connect.clone().options([("jit", "off"), ("enable_seqscan", "off")]),
            false => for_proxy(connect.clone()),
        };
        let store = Self {
            shared: Arc::new(Shared {
                // A connection that broke while it was idle costs one failed call, which a processor repeats; a question
                // before each call would cost a round trip each time.
                own: PgPoolOptions::new()
                    .max_connections(options.own_size())
                    .acquire_timeout(options.patience())
                    .test_before_acquire(false)
                    .connect_lazy_with(ours.clone()),
                pool,
                place: place(&connect),
                wake: Wake::new(&prefix, ours),
                prefix,
                options,
                schema_found: AtomicU32::new(0),
                partitioning: Partitioning::default(),
                last_target: Mutex::new(None),
            }),
        };
        store.start().await?;
        Ok(store)
    }

    async fn start(&self) -> Result<()> {
        self.check_server().await?;
        self.check_sessions().await?;
        match self.shared.options.migrates() {
            true => self.migrate().await?,
            false => self.find_schema().await?,
        }
        if self.schema_version().found == self.schema_version().needed {
            self.check_sequence().await?;
            self.settle().await?;
            // A role that may not make any can still append, and learns of it in time.
            if let Err(error) = self.keep_partitions().await {
                tracing::warn!(%error, "can't make partitions of the event log ahead of use; housekeeping tries again");
            }
        }
        Ok(())
    }
}

/// No named statement is kept, and nothing is asked for at the start that a proxy must be taught to let pass. (The digits
/// of floating point numbers are PostgreSQL's default since version 12.)
fn for_proxy(connect: PgConnectOptions) -> PgConnectOptions {
    connect.statement_cache_capacity(0).extra_float_digits(None)
}

fn place(connect: &PgConnectOptions) -> String {
    let database = connect.get_database().unwrap_or_else(|| connect.get_username());
    format!("{}:{}/{database}", connect.get_host(), connect.get_port())
}
