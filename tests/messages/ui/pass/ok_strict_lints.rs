#![deny(warnings, missing_docs, unreachable_pub, rust_2018_idioms, unused_qualifications, single_use_lifetimes)]
#![deny(clippy::all, clippy::pedantic)]
//! A crate that denies everything: generated code adds no warning of its own.

use domain_events::prelude::*;

/// A card.
#[aggregate_root]
#[derive(Debug, Default)]
pub struct Card {
    #[aggregate(id)]
    id: String,
    #[aggregate(version)]
    version: u64,
    events: PendingEvents,
}

mod private {
    use super::{Card, DateTime, DomainEvent, Utc};

    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Detail(u8);

    /// A card was added.
    #[derive(Debug, Clone, PartialEq, DomainEvent)]
    #[event(aggregate = Card)]
    pub(crate) struct CardAdded {
        #[event(aggregate_id)]
        pub(crate) card_id: String,
        detail: Option<Detail>,
        #[event(occurred_at)]
        pub(crate) at: DateTime<Utc>,
    }

    impl CardAdded {
        pub(crate) fn plain(card_id: String) -> Self {
            Self::new(card_id, None)
        }
    }
}

pub use self::events::CardMoved;

mod events {
    use super::{Card, DomainEvent};

    /// A card was moved.
    #[derive(Debug, DomainEvent)]
    #[event(aggregate = Card)]
    pub enum CardMoved {
        /// In.
        In {
            /// Which one.
            #[event(aggregate_id)]
            card_id: String,
        },
        /// Out.
        Out(#[event(aggregate_id)] String),
    }
}

/// Sends letters.
pub trait Mailer: Send + Sync {}

#[event_handler(private::CardAdded, max_attempts = 3)]
async fn notify(event: &private::CardAdded, mailer: Service<dyn Mailer>) -> Result<(), std::io::Error> {
    let _ = (event, mailer);
    Ok(())
}

/// Handles.
#[event_handler(CardMoved)]
pub async fn index(event: &CardMoved) {
    let _ = event;
}

/// Keeps an index.
#[derive(Debug, FromServices)]
pub struct Index {
    mailer: Service<dyn Mailer>,
}

#[event_handler(CardMoved)]
impl Index {
    async fn handle(&self, event: &CardMoved) {
        let _ = (&self.mailer, event);
    }
}

fn main() {
    let mut card = Card::default();
    card.raise(private::CardAdded::plain(card.id.clone()));
    card.raise(CardMoved::In { card_id: card.id.clone() });
    card.raise(CardMoved::Out(card.id.clone()));
}
