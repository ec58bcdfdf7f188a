//! Checkpoints of all subscriptions of a node, written together: whatever is waiting when the store is free goes into
//! one transaction.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};

use crate::{
    error::{Error, ErrorKind, Result},
    fault,
    store::{Store, record::Checkpoint},
};

/// The most checkpoints in one transaction.
const TOGETHER: usize = 64;

/// How long checkpoints that nobody waits for are gathered: those of one moment come within it.
const GATHER: Duration = Duration::from_millis(2);

/// A checkpoint on the desk.
#[derive(Debug)]
struct Slip {
    checkpoint: Checkpoint,
    is_urgent: bool,
    answer: oneshot::Sender<Result<bool>>,
}

/// Where subscriptions hand in their checkpoints. The writer behind it ends with the last desk.
#[derive(Debug, Clone)]
pub(super) struct Desk(mpsc::Sender<Slip>);

impl Desk {
    /// Opens a desk, and the task that writes what is handed in.
    pub(super) fn open<S: Store>(store: Arc<S>) -> Self {
        let (sender, receiver) = mpsc::channel(TOGETHER);
        tokio::spawn(write(store, receiver));
        Self(sender)
    }

    /// Writes a checkpoint, an urgent one as soon as the store is free: `true` if it is written, `false` if the lease is
    /// lost.
    pub(super) async fn hand_in(self, checkpoint: Checkpoint, is_urgent: bool) -> Result<bool> {
        let closed = || Error::new(ErrorKind::Unavailable, "the checkpoint writer has ended");
        let (answer, answered) = oneshot::channel();
        self.0.send(Slip { checkpoint, is_urgent, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

async fn write<S: Store>(store: Arc<S>, mut waiting: mpsc::Receiver<Slip>) {
    let mut slips = Vec::with_capacity(TOGETHER);
    while waiting.recv_many(&mut slips, TOGETHER).await > 0 {
        gather(&mut waiting, &mut slips).await;
        let (steps, answers): (Vec<_>, Vec<_>) = slips.drain(..).map(|slip| (slip.checkpoint, slip.answer)).unzip();
        fault::point("checkpoint.before");
        let results = store.checkpoint(&steps).await;
        fault::point("checkpoint.after");
        match results {
            Ok(results) => {
                for (answer, written) in answers.into_iter().zip(results) {
                    // Nobody waits for it any more: the subscription was taken away meanwhile.
                    let _ = answer.send(Ok(written));
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(Error::new(error.kind(), error.to_string())));
                }
            }
        }
    }
}

/// Waits a moment for those that come at the same one, unless somebody is in a hurry.
async fn gather(waiting: &mut mpsc::Receiver<Slip>, slips: &mut Vec<Slip>) {
    if slips.iter().any(|slip| slip.is_urgent) {
        return;
    }
    tokio::time::sleep(GATHER).await;
    while slips.len() < TOGETHER
        && let Ok(slip) = waiting.try_recv()
    {
        slips.push(slip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{Lease, NodeId, SubscriptionId};

    /// How many are written together with one that is there, if another one comes as soon as anybody waits.
    async fn written_together(is_urgent: bool) -> usize {
        let subscription = SubscriptionId { handler: Arc::from("a.a"), partition: 0 };
        let checkpoint = Checkpoint::new(Lease { subscription, owner: NodeId("n".into()), fence: 1 });
        let slip = |is_urgent| Slip { checkpoint: checkpoint.clone(), is_urgent, answer: oneshot::channel().0 };
        let (sender, mut waiting) = mpsc::channel(TOGETHER);
        let another = slip(false);
        tokio::spawn(async move { sender.send(another).await.is_ok() });
        let mut slips = vec![slip(is_urgent)];
        gather(&mut waiting, &mut slips).await;
        slips.len()
    }

    #[tokio::test]
    async fn those_of_one_moment_are_written_together_and_an_urgent_one_at_once() {
        assert_eq!(written_together(false).await, 2);
        assert_eq!(written_together(true).await, 1);
    }
}
