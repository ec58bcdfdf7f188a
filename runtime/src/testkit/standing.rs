//! How far each handler is, and what to say about one that is not through.

use std::fmt::{self, Write};

use crate::{
    domain_events::DomainEvents,
    error::Result,
    handler::Wired,
    store::{
        Store,
        record::{DeadLetter, Parked, ParkedState, Position, SubscriptionState},
    },
};

/// The most rows of a kind that are read and shown for one handler.
const ROWS: usize = 10_000;
const SHOWN: usize = 5;

/// How one handler stands.
pub(super) struct Standing {
    handler: String,
    partitions: usize,
    /// One per partition, once a processor has made them.
    subscriptions: Vec<SubscriptionState>,
    /// Those of `subscriptions` that have not come as far as they should.
    behind: usize,
    parked: Vec<Parked>,
    pub(super) dead: Vec<DeadLetter>,
}

impl Standing {
    pub(super) fn is_handled(&self) -> bool {
        self.is_read() && self.parked.is_empty() && self.dead.is_empty()
    }

    pub(super) fn is_settled(&self) -> bool {
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

/// How every handler of this runtime stands towards what was in the log at `head`.
pub(super) async fn look<S: Store>(events: &DomainEvents<S>, head: &Position) -> Result<Vec<Standing>> {
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

impl Standing {
    /// Writes what is missing, and the likely cause.
    pub(super) fn tell(&self, text: &mut String) -> fmt::Result {
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
            write!(text, ", at log position {}, {} behind", state.position.after, count(state.lag, "event"))?;
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
                ParkedState::Retrying => write!(text, "{}, due at {next_at}", count(*attempts, "attempt"))?,
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
            write!(text, " at {}, {}, ", letter.position, letter.reason)?;
            write!(text, "{}: {}", count(letter.attempts, "attempt"), letter.error)?;
        }
        more(text, "dead letters", self.dead.len())
    }
}

fn count(number: impl Into<u64>, what: &str) -> String {
    match number.into() {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

fn more(text: &mut String, what: &str, rows: usize) -> fmt::Result {
    if rows > SHOWN { write!(text, "\n    and {} more {what}", rows - SHOWN) } else { Ok(()) }
}
