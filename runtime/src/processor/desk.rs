//! Checkpoints of all subscriptions of a node, written together: whatever is waiting when the store is free goes into
//! one transaction.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::{
    error::{Error, ErrorKind, Result},
    fault,
    store::{Store, record::Checkpoint},
    wake::Bell,
};

/// The most checkpoints in one transaction.
const TOGETHER: usize = 64;

type Answer = oneshot::Sender<Result<bool>>;

/// Where subscriptions hand in their checkpoints. The writer behind it ends with the last desk.
#[derive(Debug, Clone)]
pub(super) struct Desk(mpsc::Sender<(Checkpoint, Answer)>);

impl Desk {
    /// Opens a desk, and the task that writes what is handed in.
    pub(super) fn open<S: Store>(store: Arc<S>, progress: Bell) -> Self {
        let (sender, receiver) = mpsc::channel(TOGETHER);
        tokio::spawn(write(store, receiver, progress));
        Self(sender)
    }

    /// Writes a checkpoint: `true` if it is written, `false` if the lease is lost.
    pub(super) async fn hand_in(self, checkpoint: Checkpoint) -> Result<bool> {
        let closed = || Error::new(ErrorKind::Unavailable, "the checkpoint writer has ended");
        let (answer, answered) = oneshot::channel();
        self.0.send((checkpoint, answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

async fn write<S: Store>(store: Arc<S>, mut waiting: mpsc::Receiver<(Checkpoint, Answer)>, progress: Bell) {
    let mut batch = Vec::with_capacity(TOGETHER);
    while waiting.recv_many(&mut batch, TOGETHER).await > 0 {
        let (steps, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        fault::point("checkpoint.before");
        let results = store.checkpoint(&steps).await;
        fault::point("checkpoint.after");
        match results {
            Ok(results) => {
                progress.ring();
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
