//! Waiting for the handlers: until they have done their work, with a limit, and with words for what is missing.

use std::{
    fmt::{self, Write},
    time::{Duration, Instant},
};

use crate::{
    domain_events::DomainEvents,
    error::Result,
    handler::Wired,
    store::{
        Store,
        record::{DeadLetter, Parked, ParkedState, Position, SubscriptionState},
    },
};

/// How often the condition is looked at: often enough to be invisible in a test's run time.
const INTERVAL: Duration = Duration::from_millis(5);

/// The most rows of a kind that are read and shown for one handler.
const ROWS: usize = 10_000;
const SHOWN: usize = 5;

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

/// How one handler stands.
struct Standing {
    handler: String,
    partitions: usize,
    /// One per partition, once a processor has made them.
    subscriptions: Vec<SubscriptionState>,
    /// Those of `subscriptions` that have not come as far as they should.
    behind: usize,
    parked: Vec<Parked>,
    dead: Vec<DeadLetter>,
}

impl Standing {
    fn is_handled(&self) -> bool {
        self.is_read() && self.parked.is_empty() && self.dead.is_empty()
    }

    fn is_settled(&self) -> bool {
        self.is_read() && self.parked.iter().all(|delivery| self.is_at_rest(delivery))
    }

    fn is_read(&self) -> bool {
        self.subscriptions.len() == self.partitions && self.behind == 0
    }

    /// Whether only a person can move this delivery on.
    fn is_at_rest(&self, delivery: &Parked) -> bool {
        let dead = |other: &Parked| other.state == ParkedState::Dead && other.aggregate == delivery.aggregate;
        match delivery.state {
            ParkedState::Dead => true,
            ParkedState::Waiting => self.parked.iter().any(|other| other.position < delivery.position && dead(other)),
            ParkedState::Retrying | ParkedState::Running => false,
        }
    }
}

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

async fn look<S: Store>(events: &DomainEvents<S>, head: &Position) -> Result<Vec<Standing>> {
    let store = events.store();
    let states = store.subscriptions().await?;
    let mut standings = Vec::new();
    for wired in &events.0.registry.handlers {
        let subscriptions: Vec<_> = states.iter().filter(|state| state.id.handler == wired.name).cloned().collect();
        let mut standing = standing(wired, subscriptions, head);
        // Rows are read after the position: a delivery is parked in the step that moves the position past it.
        standing.parked = store.parked(&wired.name, ROWS).await?;
        standing.dead = store.dead_letters(Some(&wired.name), ROWS).await?;
        standings.push(standing);
    }
    Ok(standings)
}

fn standing(wired: &Wired, subscriptions: Vec<SubscriptionState>, head: &Position) -> Standing {
    // Where one number is the whole position, it can be compared; elsewhere only an empty lag says that all is done.
    let done = |state: &SubscriptionState| {
        state.lag == 0 || state.position.window.is_none() && state.position.after >= head.after
    };
    Standing {
        handler: wired.name.to_string(),
        partitions: usize::from(wired.options.partitions),
        behind: subscriptions.iter().filter(|state| !done(state)).count(),
        subscriptions,
        parked: Vec::new(),
        dead: Vec::new(),
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

impl Standing {
    fn tell(&self, text: &mut String) -> fmt::Result {
        write!(text, "\n- handler `{}`", self.handler)?;
        if self.subscriptions.len() < self.partitions {
            write!(text, ": no processor has run it yet; start one, `events.processor().start().await?`")?;
        }
        for state in &self.subscriptions {
            let name = state.id.to_string();
            match &state.owner {
                Some(owner) => write!(text, "\n    `{name}` is run by {owner}")?,
                None => write!(text, "\n    `{name}` is run by nobody")?,
            }
            write!(text, ", at log position {}, {} events behind", state.position.after, state.lag)?;
            if state.paused {
                write!(text, "; it is paused: `events.admin().resume(\"{}\")`", self.handler)?;
            } else if state.owner.is_none() && (state.lag > 0 || !self.parked.is_empty()) {
                write!(text, "; is a processor running, with its group?")?;
            } else if self.parked.is_empty() && state.lag > 0 {
                write!(text, "; its handler may still be at work")?;
            }
        }
        for delivery in self.parked.iter().take(SHOWN) {
            let Parked { aggregate, position, state, attempts, next_at, error, .. } = delivery;
            write!(text, "\n    parked at {position}, {} `{}`: ", aggregate.aggregate_type, aggregate.aggregate_id)?;
            match state {
                ParkedState::Waiting => write!(text, "waits behind an earlier one")?,
                ParkedState::Retrying => write!(text, "{attempts} attempts, due at {next_at}")?,
                ParkedState::Running => write!(text, "attempt {attempts} is under way")?,
                ParkedState::Dead => write!(text, "a dead letter that the aggregate's later events wait behind")?,
            }
            if let Some(error) = error {
                write!(text, "; last error: {error}")?;
            }
        }
        more(text, "parked", self.parked.len())?;
        for letter in self.dead.iter().take(SHOWN) {
            let meta = &letter.envelope.meta;
            write!(text, "\n    dead letter {} of {} `{}`", meta.name, meta.aggregate_type, meta.aggregate_id)?;
            write!(text, " at {}, {}, {} attempts: {}", letter.position, letter.reason, letter.attempts, letter.error)?;
        }
        more(text, "dead letters", self.dead.len())
    }
}

fn more(text: &mut String, what: &str, rows: usize) -> fmt::Result {
    if rows > SHOWN { write!(text, "\n    and {} more {what}", rows - SHOWN) } else { Ok(()) }
}
