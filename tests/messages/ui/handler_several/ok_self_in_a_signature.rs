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
    async fn on_added(&self, event: &CardAdded, other: Service<Self>) -> Result<(), Failed<Self>> {
        let _ = (event, other);
        Ok(())
    }

    async fn on_removed(self: &Self, event: &CardRemoved) {
        let _ = event;
    }
}

#[derive(Debug)]
struct Failed<T>(std::marker::PhantomData<T>);

impl<T> std::fmt::Display for Failed<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl<T: std::fmt::Debug> std::error::Error for Failed<T> {}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("index")
    }
}

fn main() {}
