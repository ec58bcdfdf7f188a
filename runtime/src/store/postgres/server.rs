//! What has happened to the server: whether it can be used, and whether positions that were taken before still mean what
//! they meant.
//!
//! A position is made of transaction ids, and there are two ways for those to lose their meaning. After a dump and
//! restore, or a move by logical replication, they are another cluster's: the stored positions are then put in terms of
//! the log ([`REBASE`]). After a crash, or when a standby takes over, ids that were given out shortly before are given
//! out again: stored positions are as good as ever (each was written by a transaction later than all it speaks of), but
//! those in the memory of processes are not, so all leases end, and no position moves without a lease.

use std::time::Duration;

use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use super::{PostgresStore, error::Context};
use crate::error::{Error, ErrorKind, Result};

/// Whether this is the cluster, and the run of it, that the positions are from.
const IS_SETTLED: &str = "
    SELECT m.value = c.system_identifier               AS same_cluster,
           EXISTS (SELECT 1 FROM @.event_server_run)   AS same_run
      FROM @.event_meta m, pg_control_system() c
     WHERE m.key = 'cluster'";

/// The last position that each subscription can have done, and before it the first it has not.
const REBASE: &str = "
    UPDATE @.event_subscription s
       SET position    = least(b.bound, coalesce((SELECT min(e.position) - 1
                                                    FROM @.event_log e
                                                   WHERE e.position <= b.bound
                                                     AND NOT @.event_is_done(e.position, e.tx, e.epoch, m.value,
                                                                             s.position, s.seen, s.target)), b.bound)),
           seen        = NULL,
           target      = NULL,
           target_head = NULL,
           target_wide = NULL
      FROM (SELECT handler, partition, coalesce(target_head, position) AS bound FROM @.event_subscription) b,
           @.event_meta m
     WHERE b.handler = s.handler AND b.partition = s.partition AND m.key = 'epoch'";

/// Whoever holds a lease must not write any more.
const END_LEASES: &str = "
    UPDATE @.event_subscription SET owner = NULL, lease_until = '-infinity', fence = fence + 1";

/// How long a session is asked who it is.
const PATIENCE: Duration = Duration::from_secs(2);

impl PostgresStore {
    /// Refuses servers that can't be written to, or don't know what is used here.
    pub(super) async fn check_server(&self) -> Result<()> {
        let mut own = self.own().await?;
        let row = self
            .query("SELECT pg_is_in_recovery(), current_setting('server_version_num')::integer")
            .fetch_one(&mut *own)
            .await
            .context(self)?;
        let (standby, version): (bool, i32) = (row.try_get(0).context(self)?, row.try_get(1).context(self)?);
        let place = &self.shared.place;
        if version < 130_000 {
            let message =
                format!("PostgreSQL at `{place}` has version {}; 13 is the oldest that will do", version / 10_000);
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        if standby {
            let message =
                format!("PostgreSQL at `{place}` is a standby and can't be written to; connect to the primary");
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        Ok(())
    }

    /// Refuses a proxy that gives a connection to another client after each transaction, where nobody has said that there
    /// is one: prepared statements and `LISTEN` belong to a session, and would fail now and then. Two clients that meet
    /// on one session of the server give it away. Where the proxy has many to spare, they may not meet: then `error`
    /// explains what fails later.
    pub(super) async fn check_sessions(&self) -> Result<()> {
        if !self.shared.options.prepares() || !self.shared.options.notifies() {
            return Ok(());
        }
        let mut one = self.shared.own.connect_options().connect().await.context(self)?;
        let first = session(&mut one).await.context(self)?;
        let mut other = self.shared.own.begin().await.context(self)?;
        // Likely the one that `one` has just let go of.
        let mut is_shared = session(&mut other).await.context(self)? == first;
        if !is_shared {
            // A proxy that has no session left to give makes it wait, for the transaction that is open here perhaps.
            let again = tokio::time::timeout(PATIENCE, session(&mut one)).await;
            is_shared = again.is_ok_and(|again| again.is_ok_and(|again| again != first));
        }
        let _ = other.rollback().await;
        let _ = one.close_hard().await;
        if !is_shared {
            return Ok(());
        }
        let message = format!(
            "PostgreSQL at `{}` is behind a proxy that gives a connection to another client after each transaction; use \
             `PostgresOptions::transaction_pooling()`, or connect to the server itself (where the proxy keeps prepared \
             statements for its clients, `notifications(false)` is enough)",
            self.shared.place
        );
        Err(Error::new(ErrorKind::Configuration, message))
    }

    /// With a cache, each session draws positions from a stock of its own, and an aggregate's later event can have the
    /// smaller one.
    pub(super) async fn check_sequence(&self) -> Result<()> {
        let mut own = self.own().await?;
        let row = self
            .query("SELECT seqcache FROM pg_sequence WHERE seqrelid = pg_get_serial_sequence($1, 'position')::regclass")
            .bind(format!("{}event_log", self.shared.prefix))
            .fetch_optional(&mut *own)
            .await
            .context(self)?;
        let cache: Option<i64> = row.map(|row| row.try_get(0)).transpose().context(self)?;
        if cache == Some(1) {
            return Ok(());
        }
        let found = cache.map_or("no sequence".to_owned(), |cache| format!("a sequence with CACHE {cache}"));
        let message = format!(
            "PostgreSQL at `{}`: `event_log.position` has {found}, and events would be delivered out of order; run \
             `ALTER TABLE {}event_log ALTER COLUMN position SET CACHE 1`",
            self.shared.place, self.shared.prefix
        );
        Err(Error::new(ErrorKind::Schema, message))
    }

    /// Takes over a server on which positions have lost their meaning. Any process may find that out at any time; the
    /// first one does the work.
    pub(super) async fn settle(&self) -> Result<()> {
        let mut own = self.own().await?;
        let (same_cluster, same_run) = self.is_settled(&mut own).await?;
        drop(own);
        if same_cluster && same_run {
            return Ok(());
        }
        let mut transaction = self.own_transaction().await?;
        self.lock(&mut transaction).await?;
        let (same_cluster, same_run) = self.is_settled(&mut transaction).await?;
        if !same_cluster {
            self.rebase(&mut transaction).await?;
        }
        if !same_cluster || !same_run {
            for statement in [END_LEASES, "INSERT INTO @.event_server_run DEFAULT VALUES ON CONFLICT DO NOTHING"] {
                self.query(statement).execute(&mut *transaction).await.context(self)?;
            }
        }
        transaction.commit().await.context(self)?;
        self.forget_target();
        if !same_cluster {
            tracing::warn!(place = %self.shared.place, "the event log was moved to another PostgreSQL cluster; delivery goes \
                on, and a few events may be delivered again");
        }
        Ok(())
    }

    async fn is_settled(&self, connection: &mut PgConnection) -> Result<(bool, bool)> {
        let row = self.query(IS_SETTLED).fetch_one(connection).await.context(self)?;
        Ok((row.try_get(0).context(self)?, row.try_get(1).context(self)?))
    }

    async fn rebase(&self, connection: &mut PgConnection) -> Result<()> {
        let row =
            self.query("SELECT value + 1 FROM @.event_meta WHERE key = 'epoch'").fetch_one(&mut *connection).await;
        let next: i64 = row.and_then(|row| row.try_get(0)).context(self)?;
        // Locks the log: what is in it now is all there is in the old cluster's terms.
        let alter = format!("ALTER TABLE @.event_log ALTER COLUMN epoch SET DEFAULT {next}");
        sqlx::raw_sql(self.sql(&alter)).execute(&mut *connection).await.context(self)?;
        for statement in [
            REBASE,
            "UPDATE @.event_meta SET value = value + 1 WHERE key = 'epoch'",
            "UPDATE @.event_meta m SET value = c.system_identifier FROM pg_control_system() c WHERE m.key = 'cluster'",
        ] {
            self.query(statement).execute(&mut *connection).await.context(self)?;
        }
        // Logical replication brings rows, but leaves sequences behind.
        self.query(
            "SELECT setval(pg_get_serial_sequence($1, 'position'),
                           greatest(nextval(pg_get_serial_sequence($1, 'position')),
                                    (SELECT max(position) FROM @.event_log),
                                    (SELECT max(position) FROM @.event_subscription),
                                    (SELECT value FROM @.event_meta WHERE key = 'trimmed_to')))",
        )
        .bind(format!("{}event_log", self.shared.prefix))
        .execute(connection)
        .await
        .context(self)?;
        Ok(())
    }
}

/// The server's process behind a connection; asked without a prepared statement, which may not work yet.
async fn session(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}
