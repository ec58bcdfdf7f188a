//! Delivering what there is and no more: for batch programs, migrations and small examples.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Context, key};
use crate::{
    error::Result,
    handler::Wired,
    store::{
        Store,
        record::{Parked, ParkedState},
    },
    wake::Listener,
};

/// Looks again after this time even if no subscription came to rest: another process may do the work.
const LOOK: Duration = Duration::from_millis(100);

/// For so many times as long as a look took, there is none: with much to do, every look costs what the work needs.
const REST: u32 = 5;

/// Resolves when these handlers have done everything that is in the log at this moment.
pub(super) async fn drained<S: Store>(
    context: &Context<S>,
    handlers: &[Arc<Wired>],
    at_rest: &mut Listener,
) -> Result<()> {
    let head = context.store.head().await?.after;
    loop {
        at_rest.clear();
        let begun = Instant::now();
        if is_done(context, handlers, head).await? {
            return Ok(());
        }
        tokio::time::sleep(begun.elapsed() * REST).await;
        // Whichever comes first; a ring that is missed is made up for by the next look.
        let _ = tokio::time::timeout(LOOK, at_rest.heard()).await;
    }
}

async fn is_done<S: Store>(context: &Context<S>, handlers: &[Arc<Wired>], head: i64) -> Result<bool> {
    let states = context.store.glance().await?;
    let ours = |handler: &str| handlers.iter().find(|wired| *wired.name == *handler);
    for state in &states {
        let Some(wired) = ours(&state.id.handler).filter(|_| !state.paused) else { continue };
        // Where one number is not the whole position, only an empty lag says that all is done.
        let behind = state.lag > 0 && (state.position.window.is_some() || state.position.after < head);
        if state.id.partition < wired.options.partitions && behind {
            return Ok(false);
        }
    }
    let waits = |handler: &str| {
        let mut its = states.iter().filter(|state| *state.id.handler == *handler);
        its.clone().all(|state| !state.paused) && its.any(|state| state.parked > 0)
    };
    for wired in handlers.iter().filter(|wired| waits(&wired.name)) {
        let parked = context.store.parked(&wired.name, usize::MAX).await?;
        if parked.iter().any(|row| row.position <= head && !waits_for_a_person(row, &parked)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a parked delivery is, or stands behind, a dead letter that holds its aggregate.
fn waits_for_a_person(row: &Parked, all: &[Parked]) -> bool {
    let dead: HashSet<_> =
        all.iter().filter(|row| row.state == ParkedState::Dead).map(|row| key::of_aggregate(&row.aggregate)).collect();
    dead.contains(&key::of_aggregate(&row.aggregate))
}
