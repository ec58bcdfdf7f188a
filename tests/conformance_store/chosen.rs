//! A store that is chosen at run time: it must be as good as the one it stands for.

use domain_events::{
    Attempt, EventMeta, HandlerError, Result, Service, SqlStore, SqlTransaction, event_handler,
    handler::HandlerDef,
    store::Store,
    testkit::conformance::{ParcelMovedEvent, PostgresHarness, SqliteHarness, Stage, StoreHarness},
};

/// Another backend's data, opened as a [`SqlStore`].
pub(crate) struct Chosen<H>(pub(crate) H);

impl<H: StoreHarness> StoreHarness for Chosen<H>
where
    H::Store: Store + Into<SqlStore>,
{
    type Store = SqlStore;

    async fn open(&self) -> SqlStore {
        self.0.open().await.into()
    }

    fn place(&self) -> String {
        self.0.place()
    }

    async fn at(place: &str) -> Self {
        Self(H::at(place).await)
    }

    async fn write_effect(transaction: &mut SqlTransaction, effect: &str) -> Result<()> {
        match transaction {
            SqlTransaction::Sqlite(sqlite) => SqliteHarness::write_effect(sqlite, effect).await,
            SqlTransaction::Postgres(postgres) => PostgresHarness::write_effect(postgres, effect).await,
        }
    }

    async fn effects(&self) -> Vec<String> {
        self.0.effects().await
    }

    fn ledger() -> Option<&'static HandlerDef> {
        Some(domain_events::handler!(ledger))
    }

    async fn restored(&self) -> Self {
        Self(self.0.restored().await)
    }
}

#[event_handler(ParcelMovedEvent, group = "conformance", max_attempts = 3, backoff = "10ms..40ms")]
async fn ledger(
    event: &ParcelMovedEvent,
    meta: &EventMeta,
    attempt: Attempt,
    stage: Service<Stage>,
    transaction: &mut SqlTransaction,
) -> std::result::Result<(), HandlerError> {
    stage.play("ledger", event, meta, attempt).await?;
    let effect = format!("ledger {} {}", event.parcel_id, event.step);
    Ok(Chosen::<SqliteHarness>::write_effect(transaction, &effect).await?)
}
