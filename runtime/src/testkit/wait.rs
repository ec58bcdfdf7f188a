//! Waiting for the handlers: until they have done their work, with a limit, and with words for what is missing.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::standing::{Standing, look};
use crate::{
    domain_events::DomainEvents,
    store::{Store, record::DeadLetter},
};

/// How often the condition is looked at: often enough to be invisible in a test's run time.
const INTERVAL: Duration = Duration::from_millis(5);

/// Waits until every handler of this runtime has handled everything that is in the log now: its subscription stands at
/// the log's head or further, and nothing is parked.
///
/// It looks at the store, so it works for processors in other processes too.
///
/// ```standalone_crate
/// use domain_events::{DomainEvents, prelude::*, testkit};
/// use std::time::Duration;
///
/// #[derive(Debug, DomainEvent)]
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
/// #[event_handler(CardArchivedEvent)]
/// async fn forget(_: &CardArchivedEvent) {}
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain_events::Result<()> {
/// let events = DomainEvents::builder().build()?;
/// let running = events.processor().start().await?;
///
/// let mut card = Card { id: "c1".into(), events: PendingEvents::default() };
/// card.raise(CardArchivedEvent { card_id: "c1".into() });
/// let mut work = events.begin().await?;
/// work.record(&mut card);
/// work.commit().await?;
///
/// testkit::wait_until_handled(&events, Duration::from_secs(10)).await;
/// running.shutdown().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// At once if a handler has a dead letter, and when `limit` is over. The message names each handler that is behind, by
/// how much, who runs it, what is parked and why, its dead letters, and the likely cause.
pub async fn wait_until_handled<S: Store>(events: &DomainEvents<S>, limit: Duration) {
    if let Err(missing) = try_wait_until_handled(events, limit).await {
        panic!("{missing}");
    }
}

/// The same as [`wait_until_handled`], with an error in place of the panic.
///
/// ```
/// use domain_events::{DomainEvents, testkit};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain_events::Result<()> {
/// let events = DomainEvents::builder().without_linked().build()?; // no handler, nothing to wait for
/// assert!(testkit::try_wait_until_handled(&events, Duration::from_secs(1)).await.is_ok());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// What is missing, in words.
pub async fn try_wait_until_handled<S: Store>(
    events: &DomainEvents<S>,
    limit: Duration,
) -> std::result::Result<(), NotHandled> {
    let end = wait(events, limit, true).await;
    if end.iter().all(Standing::is_handled) { Ok(()) } else { Err(NotHandled::new(&end, limit)) }
}

/// Waits until nothing is left to do for what is in the log now: every delivery is handled or a dead letter, or waits
/// behind one that is. Returns the dead letters, in log order. For tests of what fails.
///
/// ```standalone_crate
/// use domain_events::{DomainEvents, HandlerError, prelude::*, testkit};
/// use std::time::Duration;
///
/// #[derive(Debug, DomainEvent)]
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
/// #[event_handler(CardArchivedEvent)]
/// async fn refuse(_: &CardArchivedEvent) -> Result<(), HandlerError> {
///     Err(HandlerError::permanent("the archive is closed"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain_events::Result<()> {
/// let events = DomainEvents::builder().build()?;
/// let running = events.processor().start().await?;
///
/// let mut card = Card { id: "c1".into(), events: PendingEvents::default() };
/// card.raise(CardArchivedEvent { card_id: "c1".into() });
/// let mut work = events.begin().await?;
/// work.record(&mut card);
/// work.commit().await?;
///
/// let dead = testkit::wait_until_settled(&events, Duration::from_secs(10)).await;
/// assert_eq!(dead[0].error, "the archive is closed");
/// running.shutdown().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// When `limit` is over, with the message of [`wait_until_handled`].
pub async fn wait_until_settled<S: Store>(events: &DomainEvents<S>, limit: Duration) -> Vec<DeadLetter> {
    let end = wait(events, limit, false).await;
    if !end.iter().all(Standing::is_settled) {
        panic!("{}", NotHandled::new(&end, limit));
    }
    let mut dead: Vec<_> = end.into_iter().flat_map(|standing| standing.dead).collect();
    dead.sort_by_key(|letter| letter.position);
    dead
}

/// What handlers still had to do when the time was over, in words: `Display` is the whole message.
///
/// ```standalone_crate
/// use domain_events::{DomainEvents, prelude::*, testkit};
/// use std::time::Duration;
///
/// # #[derive(Debug, DomainEvent)]
/// # #[event(aggregate = Card)]
/// # struct CardArchivedEvent { #[event(aggregate_id)] card_id: String }
/// # #[aggregate_root]
/// # struct Card { #[aggregate(id)] id: String, events: PendingEvents }
/// #[event_handler(CardArchivedEvent)]
/// async fn forget(_: &CardArchivedEvent) {}
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain_events::Result<()> {
/// let events = DomainEvents::builder().build()?; // and nobody starts a processor
/// let missing = testkit::try_wait_until_handled(&events, Duration::ZERO).await.unwrap_err();
/// assert!(missing.to_string().contains("no processor has run it yet"), "{missing}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NotHandled(String);

impl fmt::Display for NotHandled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NotHandled {
    // What `unwrap` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotHandled {}

async fn wait<S: Store>(events: &DomainEvents<S>, limit: Duration, stop_at_dead: bool) -> Vec<Standing> {
    let begun = Instant::now();
    let head = events.store().head().await.expect("the store can be read");
    loop {
        let standings = look(events, &head).await.expect("the store can be read");
        let done = standings.iter().all(Standing::is_settled);
        let dead = stop_at_dead && standings.iter().any(|standing| !standing.dead.is_empty());
        if done || dead || begun.elapsed() >= limit {
            return standings;
        }
        tokio::time::sleep(INTERVAL.min(limit)).await;
    }
}

impl NotHandled {
    fn new(standings: &[Standing], limit: Duration) -> Self {
        let missing = standings.iter().filter(|standing| !standing.is_handled());
        let mut text = match standings.iter().any(|standing| !standing.dead.is_empty()) {
            true => "not everything was handled, there are dead letters:".to_owned(),
            false => format!("not everything was handled within {limit:?}:"),
        };
        for standing in missing {
            // Writing into a `String` can't fail.
            let _ = standing.tell(&mut text);
        }
        Self(text)
    }
}
