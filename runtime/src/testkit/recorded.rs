//! What stands in the log, for assertions about what was committed.

use crate::{
    domain_events::DomainEvents,
    event::{DomainEvent, Envelope, EventMeta},
    store::{EventLog, Store, record::Position},
};

/// All committed events of one type, in log order, each with what the log says about it.
///
/// ```standalone_crate
/// use domain_events::{DomainEvents, prelude::*, testkit};
///
/// #[derive(Debug, PartialEq, DomainEvent)]
/// #[event(aggregate = Card)]
/// struct CardArchivedEvent {
///     #[event(aggregate_id)]
///     card_id: String,
/// }
///
/// #[aggregate_root]
/// struct Card {
///     #[aggregate(id)]
///     id: String,
///     events: PendingEvents,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain_events::Result<()> {
/// let events = DomainEvents::builder().build()?;
/// let mut card = Card { id: "c1".into(), events: PendingEvents::default() };
/// card.raise(CardArchivedEvent { card_id: "c1".into() });
/// let mut work = events.begin().await?;
/// work.record(&mut card);
/// work.commit().await?;
///
/// let archived = testkit::recorded::<CardArchivedEvent, _>(&events).await;
/// assert_eq!(archived[0].0, CardArchivedEvent { card_id: "c1".into() });
/// assert_eq!(archived[0].1.aggregate_id.as_str(), "c1");
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// If the log can't be read, or holds an event of this name and version whose payload does not decode.
pub async fn recorded<E: DomainEvent, S: Store>(events: &DomainEvents<S>) -> Vec<(E, EventMeta)> {
    let of_this_type =
        |envelope: &Envelope| E::DEF.is_named(&envelope.meta.name) && envelope.meta.version == E::VERSION;
    let envelopes = recorded_envelopes(events).await;
    let decoded =
        envelopes.into_iter().filter(of_this_type).map(|Envelope { meta, payload }| match E::decode(&payload) {
            Ok(event) => (event, meta),
            Err(error) => panic!(
                "event `{}` at log position {:?} does not decode: {error}; its payload: {}",
                meta.name,
                meta.position,
                String::from_utf8_lossy(&payload)
            ),
        });
    decoded.collect()
}

/// All committed events of every type, in log order, as they stand in the log.
///
/// ```standalone_crate
/// use domain_events::{DomainEvents, testkit};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain_events::Result<()> {
/// let events = DomainEvents::builder().build()?;
/// assert!(testkit::recorded_envelopes(&events).await.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// If the log can't be read.
pub async fn recorded_envelopes<S: Store>(events: &DomainEvents<S>) -> Vec<Envelope> {
    read_all(events.store()).await
}

/// The whole log of a store.
pub(super) async fn read_all<S: EventLog>(store: &S) -> Vec<Envelope> {
    const AT_A_TIME: usize = 512;
    let mut envelopes = Vec::new();
    let mut after = Position::BEGINNING;
    loop {
        let page = store.read(&after, AT_A_TIME).await.expect("the log can be read");
        envelopes.extend(page.events);
        after = page.end;
        if !page.more {
            return envelopes;
        }
    }
}
