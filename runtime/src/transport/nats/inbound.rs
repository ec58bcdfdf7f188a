//! The way out of JetStream: hands out what the shards' readers bring, settles it, and connects again when something is
//! lost. The consumer uses it.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::future::try_join_all;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    super::{
        BoxFuture, Inbound,
        record::{Delivery, Fate, Settlement, Subscription, Tag},
    },
    connect::{PATIENCE, connect, unavailable},
    dead_letter,
    desk::{Desk, Item, Standing},
    keeper::{Keeper, write_down},
    ledger::{Book, Position},
    names,
    options::Options,
    shard::Room,
    stream,
    subscription::book,
};
use crate::error::Result;

/// The deliveries of one handler to this process.
pub(super) struct JetStreamInbound {
    options: Arc<Options>,
    subscription: Subscription,
    session: Mutex<Option<Arc<Session>>>,
    /// What a connection that was lost held: generation and position of each shard.
    known: Mutex<HashMap<u16, (u64, Position)>>,
    /// Goes on over connections, so that an old tag never means something new.
    tags: AtomicU64,
    closed: watch::Sender<bool>,
}

/// A connection, and what was taken over it.
struct Session {
    room: Arc<Room>,
    items: tokio::sync::Mutex<mpsc::Receiver<Result<Item>>>,
    book: Book,
    keeper: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl JetStreamInbound {
    /// Connected, so that what is wrong with the address is said at once.
    pub(super) async fn open(options: Arc<Options>, subscription: Subscription) -> Result<Self> {
        let inbound = Self {
            options,
            subscription,
            session: Mutex::default(),
            known: Mutex::default(),
            tags: AtomicU64::new(1),
            closed: watch::Sender::new(false),
        };
        let session = inbound.connected().await?;
        *inbound.session() = Some(session);
        Ok(inbound)
    }

    fn session(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u16, (u64, Position)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connected(&self) -> Result<Arc<Session>> {
        let (options, handler) = (&self.options, &self.subscription.handler);
        let client = connect(options).await?;
        let jetstream = stream::jetstream(&client);
        let (stream, book) = book(&jetstream, options, &self.subscription).await?;
        let wake = client.subscribe(names::wake_subject(options.prefix(), handler)).await;
        let calls = wake.map_err(|error| unavailable(options, "the handler's processes can't be heard", error))?;
        let window = self.subscription.window.max(1);
        // One more for the error that ends it.
        let (sender, items) = mpsc::channel(window + 1);
        let room = Arc::new(Room {
            options: options.clone(),
            handler: handler.clone(),
            node: self.subscription.node.clone(),
            window,
            shards: u16::try_from(book.ledger.shards.len()).unwrap_or(u16::MAX),
            client,
            jetstream,
            stream,
            desk: Arc::new(Desk::default()),
            permits: Arc::new(Semaphore::new(window.min(Semaphore::MAX_PERMITS))),
            items: sender,
            events: watch::Sender::new(HashSet::new()),
        });
        let keeper = Keeper::new(room.clone(), book.clone(), calls, self.known().clone());
        let keeper = tokio::spawn(keeper.run());
        Ok(Arc::new(Session { room, items: tokio::sync::Mutex::new(items), book, keeper }))
    }

    /// The connection there is, or a new one.
    async fn joined(&self) -> Result<Arc<Session>> {
        if let Some(session) = &*self.session() {
            return Ok(session.clone());
        }
        let session = self.connected().await?;
        *self.session() = Some(session.clone());
        Ok(session)
    }

    /// Ends a connection; what it held is remembered for the next one.
    fn lose(&self, session: &Arc<Session>) {
        session.keeper.abort();
        remember(&mut self.known(), &session.room.desk.standings());
        session.room.desk.clear();
        self.session().take_if(|current| Arc::ptr_eq(current, session));
    }

    async fn next(&self, max: usize) -> Result<Vec<Delivery>> {
        loop {
            let session = self.joined().await?;
            let mut items = Vec::new();
            // Nothing between here and the return waits: a call that is dropped has taken nothing out.
            let count = session.items.lock().await.recv_many(&mut items, max.max(1)).await;
            let items: Vec<_> = match items.into_iter().collect::<Result<_>>() {
                Ok(items) => items,
                Err(error) => {
                    self.lose(&session);
                    return Err(error);
                }
            };
            let tagged = items.into_iter().map(|item| (Tag(self.tags.fetch_add(1, Ordering::Relaxed)), item));
            let deliveries = session.room.desk.hand_out(tagged);
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            if count == 0 {
                self.lose(&session);
                return Err(unavailable(&self.options, &self.subscription.handler, "the connection ended"));
            }
        }
    }

    async fn received(&self, max: usize) -> Result<Vec<Delivery>> {
        let mut closed = self.closed.subscribe();
        // Both are cancel-safe.
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Ok(Vec::new()),
            deliveries = self.next(max) => deliveries,
        }
    }

    async fn settled(&self, settlements: Vec<Settlement>) -> Result<()> {
        let Some(session) = self.session().clone() else { return Ok(()) };
        let (room, mut done) = (&session.room, Vec::with_capacity(settlements.len()));
        let mut dead = Vec::new();
        for Settlement { tag, fate } in settlements {
            match fate {
                Fate::Done => done.push(tag),
                Fate::Returned => room.desk.give_back(tag),
                Fate::Dead(message, epitaph) => {
                    if let Some((shard, sequence)) = room.desk.look_up(tag) {
                        done.push(tag);
                        dead.push((shard, sequence, message, epitaph));
                    }
                }
            }
        }
        if !dead.is_empty() {
            stream::dead(&room.jetstream, &self.options).await?;
            try_join_all(
                dead.iter().map(|(_, sequence, message, epitaph)| dead_letter::keep(room, *sequence, message, epitaph)),
            )
            .await?;
        }
        room.acknowledge(room.desk.settle(done)).await
    }

    async fn left(&self) -> Result<()> {
        self.closed.send_replace(true);
        let session = self.session().take();
        let (standings, book) = match session {
            Some(session) => {
                session.keeper.abort();
                let standings = session.room.desk.standings();
                session.room.desk.clear();
                remember(&mut self.known(), &standings);
                (standings, Some((session.room.client.clone(), session.book.clone())))
            }
            None => (Vec::new(), None),
        };
        let released = match book {
            Some((client, book)) => self.release(client, book, &standings).await,
            None => Err(unavailable(&self.options, &self.subscription.handler, "it is not connected")),
        };
        if released.is_ok() {
            return Ok(());
        }
        // Over a new connection: the old one may have been lost without a word.
        let client = connect(&self.options).await?;
        let (_, book) = book_of(&client, &self.options, &self.subscription).await?;
        self.release(client, book, &standings).await
    }

    /// Gives all shards back, each with what is settled of it.
    async fn release(&self, client: async_nats::Client, mut book: Book, standings: &[Standing]) -> Result<()> {
        let me = self.subscription.node.clone();
        if !book.read(&self.options).await? {
            return Ok(());
        }
        let known = self.known().clone();
        book.change(&self.options, |ledger| {
            for standing in standings {
                write_down(ledger, standing, &me);
            }
            for (index, shard) in ledger.shards.iter_mut().enumerate() {
                if shard.owner.as_deref() != Some(&*me) {
                    continue;
                }
                let known = u16::try_from(index).ok().and_then(|index| known.get(&index));
                if let Some((_, position)) = known.filter(|(generation, _)| *generation == shard.generation) {
                    shard.position = position.clone();
                }
                shard.owner = None;
            }
            ledger.nodes.remove(&*me);
            Ok(())
        })
        .await?;
        let subject = names::wake_subject(self.options.prefix(), &self.subscription.handler);
        let told = async {
            client.publish(subject, me.to_string().into()).await.map_err(|error| error.to_string())?;
            client.flush().await.map_err(|error| error.to_string())
        };
        // Whoever does not hear it looks within a second.
        let _ = timeout(PATIENCE, told).await;
        Ok(())
    }
}

async fn book_of(
    client: &async_nats::Client,
    options: &Options,
    subscription: &Subscription,
) -> Result<(async_nats::jetstream::stream::Stream, Book)> {
    book(&stream::jetstream(client), options, subscription).await
}

fn remember(known: &mut HashMap<u16, (u64, Position)>, standings: &[Standing]) {
    for standing in standings {
        known.insert(standing.shard, (standing.generation, standing.position.clone()));
    }
}

impl Inbound for JetStreamInbound {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(self.received(max))
    }

    fn settle(&self, settlements: Vec<Settlement>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.settled(settlements))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.left())
    }
}
