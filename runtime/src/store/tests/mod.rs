//! What the traits promise, as tests that every store here passes.

mod dead_letter;
mod forget;
mod log;
mod retention;
mod subscription;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use super::{Store, record::*};
use crate::{
    error::Result,
    event::{AggregateId, Envelope, EventId, EventMeta},
};

/// One test per case and store, so that a failure has a name.
macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        on_every_store![rows: $($case),*];

        #[cfg(all(unix, feature = "postgres"))]
        mod postgres_partitioned {
            $(
                #[tokio::test]
                async fn $case() -> crate::Result<()> {
                    super::$case(crate::store::postgres::tests::fresh_with_partitions(50).await?).await
                }
            )*
        }
    };
    // Where retention removes single events.
    (rows: $($case:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $case() -> crate::Result<()> {
                    super::$case(crate::store::MemoryStore::new()).await
                }
            )*
        }

        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(
                #[tokio::test]
                async fn $case() -> crate::Result<()> {
                    super::$case(crate::store::SqliteStore::in_memory().await?).await
                }
            )*
        }

        #[cfg(all(unix, feature = "postgres"))]
        mod postgres {
            $(
                #[tokio::test]
                async fn $case() -> crate::Result<()> {
                    super::$case(crate::store::postgres::tests::fresh().await?).await
                }
            )*
        }
    };
}
pub(super) use on_every_store;

/// Long enough that nothing runs out in a test.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// Over as soon as it has begun: what is found after a holder has stopped to renew.
pub(super) const OVER: Duration = Duration::ZERO;

pub(super) fn event(aggregate: &str) -> Envelope {
    let id = AggregateId::from(aggregate);
    // Every store keeps microseconds; more is a case of its own.
    let now = Utc::now().trunc_subsecs(6);
    let meta = EventMeta::new(EventId::generate(), "CardAdded", 1, "Card", id, now);
    Envelope::new(meta, br#"{"card":1}"#.to_vec())
}

pub(super) fn versioned(aggregate: &str, version: u64) -> Envelope {
    let mut event = event(aggregate);
    event.meta.aggregate_version = Some(version);
    event
}

pub(super) async fn commit<S: Store>(store: &S, events: &[Envelope]) -> Result<()> {
    let mut transaction = store.begin().await?;
    store.append(S::connection(&mut transaction), events).await?;
    store.commit(transaction).await
}

pub(super) async fn all<S: Store>(store: &S) -> Result<Vec<Envelope>> {
    Ok(store.read(&Position::BEGINNING, 10_000).await?.events)
}

pub(super) fn ids<'a>(events: impl IntoIterator<Item = &'a Envelope>) -> Vec<EventId> {
    events.into_iter().map(|event| event.meta.id).collect()
}

pub(super) fn at(after: i64) -> Position {
    Position { after, window: None }
}

pub(super) fn node(name: &str) -> NodeId {
    NodeId(name.into())
}

pub(super) fn subscription(handler: &str, partition: u16) -> SubscriptionId {
    SubscriptionId { handler: handler.into(), partition }
}

pub(super) fn wanted(handler: &str, partitions: u16) -> Vec<NewSubscription> {
    (0..partitions)
        .map(|partition| NewSubscription {
            id: subscription(handler, partition),
            partitions,
            aliases: Vec::new(),
            start: StartAt::Beginning,
        })
        .collect()
}

/// A handler with one partition, its lease taken.
pub(super) async fn claimed<S: Store>(store: &S, handler: &str) -> Result<Lease> {
    store.ensure(&wanted(handler, 1)).await?;
    Ok(claim(store, "a", handler, LONG).await?.expect("nobody else holds it").lease)
}

pub(super) async fn claim<S: Store>(store: &S, owner: &str, handler: &str, ttl: Duration) -> Result<Option<Claim>> {
    store.claim(&node(owner), &subscription(handler, 0), ttl).await
}

pub(super) fn parked(event: &Envelope, position: i64, state: ParkedState) -> Parked {
    Parked {
        aggregate: (&event.meta).into(),
        position,
        event: event.meta.id,
        state,
        attempts: 3,
        next_at: "2026-01-31T12:00:00.123456Z".parse().unwrap_or(DateTime::UNIX_EPOCH),
        error: Some("the gateway is away".into()),
    }
}

pub(super) fn letter(handler: &str, event: &Envelope, position: i64, at: &str) -> DeadLetter {
    let mut envelope = event.clone();
    envelope.meta.position = Some(position);
    envelope.meta.recorded_at = Some(DateTime::UNIX_EPOCH);
    let at = at.parse().unwrap_or(DateTime::UNIX_EPOCH);
    DeadLetter::new(Arc::from(handler), envelope, 5, DeadReason::Permanent, "no such card".into(), at)
}

/// The state of the only subscription, or the first.
pub(super) async fn state<S: Store>(store: &S) -> Result<SubscriptionState> {
    Ok(store.subscriptions().await?.into_iter().next().expect("there is a subscription"))
}

pub(super) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}
