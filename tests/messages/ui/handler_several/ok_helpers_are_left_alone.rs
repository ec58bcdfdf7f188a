use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardRemoved {
    #[event(aggregate_id)]
    card_id: String,
}


#[derive(FromServices)]
struct Index;

#[event_handler(CardAdded, CardRemoved)]
impl Index {
    const LIMIT: u32 = 7;

    async fn on_added(&self, event: &CardAdded) -> Result<(), String> {
        let _ = self.key(event);
        self.log(&event.card_id).await;
        Ok(())
    }

    async fn on_removed(&self, event: &CardRemoved, meta: &EventMeta) {
        let _ = (event, meta, Self::LIMIT);
    }

    fn key(&self, event: &CardAdded) -> String {
        event.card_id.clone()
    }

    async fn log(&self, text: &str) {
        let _ = text;
    }
}

fn main() {
    assert_eq!(domain_events::handler!(Index).events.len(), 2);
}
