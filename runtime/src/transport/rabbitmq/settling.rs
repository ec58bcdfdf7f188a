//! Telling the broker what is settled, with few acknowledgements: each costs it as much as a delivery, and one can stand for
//! all before it. So what is done behind one that is not waits for it, for a moment.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicNackOptions},
};

use super::{
    connect::Broker,
    session::{Shared, lock},
};
use crate::error::Result;

/// How long what is done waits for those before it. It is delivered again if the process dies meanwhile.
const LATE: Duration = Duration::from_millis(20);

/// So many wait at most, and no more than a part of what the broker gives out unacknowledged.
pub(super) fn patience(prefetch: u16) -> usize {
    usize::from(prefetch / 4).min(64)
}

/// Tells of tags that are done, and of those that are given back; nothing waits if something was given back, or if there is
/// no patience.
pub(super) async fn tell(
    broker: &Broker,
    shared: &Shared,
    data: &Channel,
    done: &[u64],
    mut returned: Vec<u64>,
    patience: usize,
) -> Result<()> {
    let _order = shared.settling.lock().await;
    let (acks, back) = {
        let mut ledger = lock(&shared.ledger);
        let done: Vec<_> = done.iter().filter_map(|tag| ledger.number(*tag)).collect();
        let acks = ledger.settle(done, if returned.is_empty() { patience } else { 0 });
        // In the order in which they came, so that they come in that order again.
        returned.sort_unstable();
        let back: Vec<_> = returned.iter().filter_map(|tag| ledger.number(*tag)).collect();
        back.iter().for_each(|number| ledger.give_back(*number));
        if ledger.has_late() {
            shared.late.notify_one();
        }
        (acks, back)
    };
    shared.note_singly(acks.single.len() + back.len());
    let through = acks.through.map(|number| data.basic_ack(number, BasicAckOptions { multiple: true }));
    let requeue = BasicNackOptions { multiple: false, requeue: true };
    let telling = async {
        // One for all of them first: what it stands for is settled before the ones behind it.
        if let Some(through) = through {
            through.await?;
        }
        let single = acks.single.iter().map(|number| data.basic_ack(*number, BasicAckOptions::default()));
        let back = back.iter().map(|number| data.basic_nack(*number, requeue));
        for told in join_all(single).await.into_iter().chain(join_all(back).await) {
            told?;
        }
        Ok(())
    };
    let told = broker.in_time("settle deliveries", telling).await;
    shared.settled.notify_waiters();
    told
}

/// Tells of what has waited long enough, for as long as this is the channel.
pub(super) async fn tell_late(broker: Arc<Broker>, shared: Arc<Shared>, data: Channel) {
    let base = lock(&shared.ledger).base();
    loop {
        shared.late.notified().await;
        tokio::time::sleep(LATE).await;
        if let Err(error) = flush(&broker, &shared, &data, base).await {
            tracing::debug!(%error, "what is settled can't be told; it is delivered again");
            return;
        }
    }
}

/// Tells of all that waits. Polled once, it is in line behind what was told before.
pub(super) async fn flush(broker: &Broker, shared: &Shared, data: &Channel, base: u64) -> Result<()> {
    let _order = shared.settling.lock().await;
    let late = {
        let mut ledger = lock(&shared.ledger);
        if ledger.base() == base { ledger.take_late() } else { Vec::new() }
    };
    shared.note_singly(late.len());
    let single = late.iter().map(|number| data.basic_ack(*number, BasicAckOptions::default()));
    let telling = async { join_all(single).await.into_iter().collect::<lapin::Result<()>>() };
    let told = broker.in_time("settle deliveries", telling).await;
    shared.settled.notify_waiters();
    told
}
