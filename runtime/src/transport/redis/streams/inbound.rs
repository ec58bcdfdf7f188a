//! The way out of one subscription: connects, hands out what the reader took in, settles, gives back.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use redis::aio::MultiplexedConnection;
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    Setup, dead_letter,
    feed::Feed,
    lease::{BLOCK, Keeper},
    reader::Reader,
    script,
};
use crate::{
    error::{Error, Result},
    transport::{
        BoxFuture, Inbound,
        record::{Delivery, Fate, Settlement},
        redis::connect::ANSWER,
    },
};

/// See the module.
pub(super) struct StreamInbound {
    setup: Arc<Setup>,
    tags: Arc<AtomicU64>,
    life: Mutex<Option<Arc<Life>>>,
    closed: AtomicBool,
    closing: Notify,
    receiving: tokio::sync::Mutex<()>,
}

/// What lives as long as a connection does. Dropped, its tasks end.
struct Life {
    feed: Arc<Feed>,
    control: MultiplexedConnection,
    reader_id: u64,
    reader: Mutex<Task>,
    keeper: Mutex<Task>,
}

/// A task that ends with its owner.
struct Task(Option<JoinHandle<()>>);

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.abort();
        }
    }
}

impl Task {
    fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Mutex<Self> {
        Mutex::new(Self(Some(tokio::spawn(future))))
    }

    async fn end(task: &Mutex<Self>) {
        let handle = task.lock().unwrap_or_else(PoisonError::into_inner).0.take();
        if let Some(handle) = handle {
            handle.abort();
            let _ = handle.await;
        }
    }
}

impl StreamInbound {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            setup: Arc::new(setup),
            tags: Arc::default(),
            life: Mutex::default(),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
            receiving: tokio::sync::Mutex::new(()),
        }
    }

    /// Connects, before anything is asked for: what is wrong shows at once.
    pub(super) async fn begin(&self) -> Result<()> {
        let mut connection = self.setup.server.connect(ANSWER).await?;
        self.setup.announce(&mut connection).await?;
        let life = self.connect().await?;
        self.set(Some(Arc::new(life)));
        Ok(())
    }

    fn life(&self) -> Option<Arc<Life>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, life: Option<Arc<Life>>) {
        *self.life.lock().unwrap_or_else(PoisonError::into_inner) = life;
    }

    async fn connect(&self) -> Result<Life> {
        let server = &self.setup.server;
        let mut control = server.connect(ANSWER).await?;
        // A server that has lost its data has lost the groups as well; nothing on it is older than they are.
        self.setup.check_shards(&mut control).await?;
        self.setup.make_groups(&mut control, false).await?;
        let mut connection = server.connect(BLOCK + ANSWER).await?;
        let id = redis::cmd("CLIENT").arg("ID").query_async::<u64>(&mut connection).await;
        let reader_id = id.map_err(|error| server.failed("connecting", &error))?;
        let feed = Arc::new(Feed::new(self.setup.subscription.window, self.tags.clone()));
        let keeper =
            Keeper { setup: self.setup.clone(), control: control.clone(), reader: reader_id, feed: feed.clone() };
        let reader = Reader { setup: self.setup.clone(), connection, feed: feed.clone() };
        let (keeper, reader) = (Task::spawn(keeper.run()), Task::spawn(reader.run()));
        Ok(Life { feed, control, reader_id, reader, keeper })
    }

    async fn receive(&self, max: usize) -> Result<Vec<Delivery>> {
        let _one = self.receiving.lock().await;
        loop {
            if self.closed.load(Ordering::Acquire) {
                return Ok(Vec::new());
            }
            let life = match self.life() {
                Some(life) => life,
                None => {
                    let life = Arc::new(self.connect().await?);
                    self.set(Some(life.clone()));
                    // Closed meanwhile: nobody else would end it.
                    if self.closed.load(Ordering::Acquire) {
                        self.leave().await?;
                        return Ok(Vec::new());
                    }
                    life
                }
            };
            match life.feed.take(max.max(1)) {
                Err(error) => {
                    self.set(None);
                    return Err(error);
                }
                Ok(deliveries) if !deliveries.is_empty() => return Ok(deliveries),
                Ok(_) => {}
            }
            // Both keep a signal that comes before the wait.
            tokio::select! {
                () = life.feed.ready.notified() => {}
                () = self.closing.notified() => {}
            }
        }
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<()> {
        let Some(life) = self.life() else { return Ok(()) };
        let mut control = life.control.clone();
        let settled = self.tell(&life.feed, &mut control, settlements).await;
        if let Err(error) = &settled {
            // It is not known what the server took: all that is unsettled comes again.
            life.feed.fail(Error::new(error.kind(), error.to_string()));
        }
        settled
    }

    async fn tell(&self, feed: &Feed, control: &mut MultiplexedConnection, settlements: Vec<Settlement>) -> Result<()> {
        let (mut done, mut returned) = (Vec::new(), Vec::new());
        for Settlement { tag, fate } in settlements {
            match fate {
                Fate::Done => done.push(tag),
                Fate::Dead(message, epitaph) => {
                    let Some(unsettled) = feed.unsettled(tag) else { continue };
                    dead_letter::bury(&self.setup, control, &unsettled, &message, &epitaph).await?;
                    feed.settled(&[tag]);
                }
                Fate::Returned => returned.push(tag),
            }
        }
        let entries = feed.entries(&done);
        if !entries.is_empty() {
            let mut all = redis::pipe();
            for (shard, ids) in entries {
                let stream = self.setup.names.stream(shard);
                all.cmd("XACK").arg(stream).arg(&*self.setup.subscription.handler).arg(ids).ignore();
            }
            all.exec_async(control).await.map_err(|error| self.setup.server.failed("settling", &error))?;
            feed.settled(&done);
        }
        if !returned.is_empty() {
            feed.returned(&returned);
        }
        Ok(())
    }

    /// Stops reading, and then gives back all shards: nothing is taken in any more when another node has them.
    async fn leave(&self) -> Result<()> {
        let Some(life) = self.life() else { return Ok(()) };
        Task::end(&life.keeper).await;
        let mut control = life.control.clone();
        Task::end(&life.reader).await;
        // The server may still wait in that connection's last call.
        let _ = redis::cmd("CLIENT").arg("KILL").arg("ID").arg(life.reader_id).exec_async(&mut control).await;
        let handler = &*self.setup.subscription.handler;
        let mut call = script::LEAVE.key(self.setup.names.nodes(handler));
        call.key(self.setup.names.owners(handler)).arg(&*self.setup.node);
        let left = call.invoke_async::<i64>(&mut control).await;
        self.set(None);
        left.map(|_| ()).map_err(|error| self.setup.server.failed("giving back shards", &error))
    }
}

impl Inbound for StreamInbound {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(self.receive(max))
    }

    fn settle(&self, settlements: Vec<Settlement>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.settle(settlements))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.closed.store(true, Ordering::Release);
            self.closing.notify_one();
            self.leave().await
        })
    }
}
