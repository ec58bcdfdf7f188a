//! What the macros' expansions do.
#![allow(missing_docs)]
use domain_events::prelude::*;

#[aggregate_root]
pub struct Card {
    #[aggregate(id)]
    id: String,
    #[aggregate(version)]
    version: u64,
    events: PendingEvents,
}

#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
pub struct CardAdded {
    #[event(aggregate_id)]
    pub card_id: String,
    pub n: Option<u32>,
    #[event(occurred_at)]
    pub at: DateTime<Utc>,
}
pub trait Svc: Send + Sync {}
#[event_handler(CardAdded, max_attempts = 5)]
async fn on_added(event: &CardAdded, svc: Service<dyn Svc>, meta: &EventMeta) -> Result<(), std::io::Error> {
    let _ = (event, svc, meta);
    Ok(())
}

#[derive(FromServices)]
pub struct Indexer {
    svc: Service<dyn Svc>,
}
#[event_handler(CardAdded)]
impl Indexer {
    async fn handle(&self, event: &CardAdded) {
        let _ = (&self.svc, event);
    }
}

#[test]
fn it_works() {
    let _ = domain_events::handler!(on_added);
    let mut card = Card { id: "x".into(), version: 0, events: PendingEvents::default() };
    card.raise(CardAdded::new("x".into(), Some(1)));
    assert_eq!(card.version, 1);
    assert_eq!(card.id, "x");
}
