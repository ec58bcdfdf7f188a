//! How a database is used: schema, connections, waking up, proxies.

use std::time::Duration;

/// How [`PostgresStore::connect_with`](super::PostgresStore::connect_with) uses a database.
///
/// ```
/// use domain_events::store::postgres::PostgresOptions;
/// use std::time::Duration;
///
/// let options = PostgresOptions::new().schema("events").connections(20).poll_interval(Duration::from_millis(100));
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    schema: String,
    connections: u32,
    own_connections: u32,
    acquire_timeout: Duration,
    poll_interval: Duration,
    notifications: bool,
    prepared_statements: bool,
    migrate: bool,
    partition_events: Option<u32>,
}

impl PostgresOptions {
    /// The options [`PostgresStore::connect`](super::PostgresStore::connect) uses.
    #[must_use]
    pub fn new() -> Self {
        Self {
            schema: "public".to_owned(),
            connections: 10,
            own_connections: 4,
            acquire_timeout: Duration::from_secs(10),
            poll_interval: Duration::from_millis(50),
            notifications: true,
            prepared_statements: true,
            migrate: true,
            partition_events: None,
        }
    }

    /// The schema that the store's tables are in. Default: `public`. [`migrate`](super::PostgresStore::migrate) makes it
    /// where it is missing.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// How many connections [`PostgresStore::pool`](super::PostgresStore::pool) has at most: units of work and
    /// transactional handlers use them. Default: 10. A pool that was given to
    /// [`from_pool`](super::PostgresStore::from_pool) stays as it is.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// How many connections the processor has for itself at most: for reading, leases and positions. One more listens.
    /// Default: 4.
    #[must_use]
    pub fn own_connections(mut self, connections: u32) -> Self {
        self.own_connections = connections.max(1);
        self
    }

    /// How long a call waits for a connection. Default: 10 seconds.
    #[must_use]
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How often the database is asked for other processes' commits while there are some; when it is quiet, up to five
    /// times more rarely, but every 250 ms at least. From 5 to 250 milliseconds; default: 50.
    #[must_use]
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.clamp(Duration::from_millis(5), Duration::from_millis(250));
        self
    }

    /// Whether processes wake each other with `NOTIFY`, sent after the commit on a connection of its own, never in the
    /// application's transaction. Default: `true`. Without, and for commits that the store does not see (a transaction
    /// that the application commits itself), others find new events by polling.
    #[must_use]
    pub fn notifications(mut self, on: bool) -> Self {
        self.notifications = on;
        self
    }

    /// For a proxy that gives a connection to another client after each transaction (PgBouncer in transaction mode):
    /// nothing is left behind in a session, so no `LISTEN` and no prepared statements. Polling finds other processes'
    /// commits. The proxy needs no settings for it.
    ///
    /// sqlx prepares every statement under a name, in units of work and in handlers that take the transaction too; there
    /// it is yours to say that it shall not, or the proxy's to keep them (PgBouncer 1.21: `max_prepared_statements`):
    ///
    /// ```
    /// # use sqlx::PgConnection;
    /// async fn count(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    ///     sqlx::query("update totals set cards = cards + 1").persistent(false).execute(connection).await?;
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn transaction_pooling(mut self) -> Self {
        self.notifications = false;
        self.prepared_statements = false;
        self
    }

    /// Whether connecting brings the tables to this version. Default: `true`. With `false`, call
    /// [`PostgresStore::migrate`](super::PostgresStore::migrate) when it suits, or run
    /// [`migration_sql`](super::PostgresStore::migration_sql) with a tool of your own.
    #[must_use]
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// Makes the log with partitions of so many events each (1 at least), which
    /// [`retain`](crate::Builder::retain) drops whole, where it deletes rows by default. For a log that
    /// outgrows deleting: a partition goes at once, and leaves nothing for `VACUUM`.
    ///
    /// Choose the number so that about 30 partitions are kept: each look for new events asks all of them, and takes
    /// 0.8 to 1.0 ms with 30, against 0.1 ms without partitions. An event goes with its partition: when all of it is old
    /// enough, behind every subscription, and nothing in it is parked or a dead letter.
    ///
    /// What differs from a log without partitions: every append of an aggregate with versions writes its last version
    /// into `event_stream`, which guards them (so must other programs that insert into `event_log`); and an event id is
    /// refused a second time within a partition, not across all of them. The ids that the framework gives are unique,
    /// and a commit whose answer was lost is looked up in all partitions before it is repeated.
    ///
    /// Partitions are made ahead by the processors' housekeeping, and after commits; events for which there is none go
    /// to a partition for the rest. The program's role must own the tables for it.
    ///
    /// This says how [`migrate`](super::PostgresStore::migrate) makes the log; one that exists stays as it is, and
    /// [`partition_sql`](super::PostgresStore::partition_sql) changes it.
    #[must_use]
    pub fn partition_events(mut self, events: u32) -> Self {
        self.partition_events = Some(events.max(1));
        self
    }
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl PostgresOptions {
    pub(super) fn schema_name(&self) -> &str {
        &self.schema
    }

    pub(super) fn pool_size(&self) -> u32 {
        self.connections
    }

    pub(super) fn own_size(&self) -> u32 {
        self.own_connections
    }

    pub(super) fn patience(&self) -> Duration {
        self.acquire_timeout
    }

    pub(super) fn poll(&self) -> Duration {
        self.poll_interval
    }

    pub(super) fn notifies(&self) -> bool {
        self.notifications
    }

    pub(super) fn prepares(&self) -> bool {
        self.prepared_statements
    }

    pub(super) fn partitions(&self) -> Option<u32> {
        self.partition_events
    }

    pub(super) fn migrates(&self) -> bool {
        self.migrate
    }
}
