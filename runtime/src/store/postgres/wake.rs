//! Noticing that somebody committed: at once within the process, by `NOTIFY` from other processes, and by asking from
//! time to time, which always works.
//!
//! `NOTIFY` is never sent in the application's transaction: there it takes a lock that lets one commit of the whole
//! database through at a time. It is sent after the commit, on another connection: at once after a pause, else once for
//! all commits of a few milliseconds.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{
    PgPool, Row,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{sync::Notify, task::JoinHandle};

use super::{PostgresStore, error::Context, snapshot::Snapshot};
use crate::error::Result;

/// The longest pause between two questions: a change is to be noticed within 250 ms.
const QUIET: Duration = Duration::from_millis(200);

/// Others are told of a commit at once, and of those that follow within this time together.
const GATHER: Duration = Duration::from_millis(5);

/// Between two tries to listen.
const RECONNECT: Duration = Duration::from_secs(1);

/// How many callers' states are remembered; one that is forgotten is told of a change that may be none.
const CALLERS: usize = 64;

/// Whether there are events of transactions that came after a snapshot, or were open in it, and what a person did.
const LOOK: &str = "
    SELECT pg_current_snapshot()::text,
           revision.value,
           EXISTS (SELECT 1 FROM @.event_log WHERE epoch = epoch.value AND tx >= $1::text::xid8)
        OR EXISTS (SELECT 1
                     FROM unnest($2::text[]) open (tx),
                          LATERAL (SELECT 1
                                     FROM @.event_log l
                                    WHERE l.epoch = epoch.value AND l.tx = open.tx::xid8
                                   OFFSET 0) l)
      FROM @.event_meta revision, @.event_meta epoch
     WHERE revision.key = 'revision' AND epoch.key = 'epoch'";

/// Waits for no disk: what is told of is committed already, and a message does not outlast a crash of the server anyway.
const TELL: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, '')";

pub(super) struct Wake {
    /// Rung at a commit in this process, and when another one was heard of.
    rung: Arc<Notify>,
    /// How many commits others were not told of; while there are any, somebody is at it.
    untold: Arc<AtomicUsize>,
    /// What callers of `changed` know, under the number they were given.
    states: Mutex<(i64, VecDeque<(i64, State)>)>,
    listener: Mutex<Option<Listening>>,
    pub(super) channel: Arc<str>,
    connect: PgConnectOptions,
}

/// What a caller of `changed` knows.
#[derive(Debug, Clone)]
struct State {
    snapshot: Snapshot,
    revision: i64,
}

/// The task that listens; it ends with the store.
struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wake {
    pub(super) fn new(prefix: &str, connect: PgConnectOptions) -> Self {
        // A channel's name has 63 bytes at most; two schemas that share one only wake each other without need.
        let mut channel = format!("domain_events_{prefix}").replace(['"', '.'], "");
        while channel.len() > 63 {
            channel.pop();
        }
        Self {
            rung: Arc::default(),
            untold: Arc::default(),
            states: Mutex::default(),
            listener: Mutex::default(),
            channel: channel.into(),
            connect,
        }
    }

    fn state(&self, number: i64) -> Option<State> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.1.iter().find(|(known, _)| *known == number).map(|(_, state)| state.clone())
    }

    /// Keeps a state, and gives it a number: from 1, never twice.
    fn keep(&self, state: State) -> i64 {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.0 += 1;
        let number = states.0;
        states.1.push_back((number, state));
        if states.1.len() > CALLERS {
            states.1.pop_front();
        }
        number
    }

    fn listen(&self) {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        // It ended if its runtime did.
        if listener.as_ref().is_none_or(|listening| listening.0.is_finished()) {
            let (connect, channel, rung) = (self.connect.clone(), Arc::clone(&self.channel), Arc::clone(&self.rung));
            *listener = Some(Listening(tokio::spawn(listen(connect, channel, rung))));
        }
    }
}

/// Tells others of commits until there are none any more. Who has counted the first one begins it.
async fn tell(pool: PgPool, untold: Arc<AtomicUsize>, channel: String) {
    let mut told = 0;
    while untold.fetch_sub(told, Ordering::SeqCst) > told {
        // A commit from here on is told by the next message.
        told = untold.load(Ordering::SeqCst);
        if let Err(error) = sqlx::query(TELL).bind(&channel).execute(&pool).await {
            tracing::debug!(%error, "can't tell other processes of a commit; they find it by polling");
        }
        tokio::time::sleep(GATHER).await;
    }
}

async fn listen(connect: PgConnectOptions, channel: Arc<str>, rung: Arc<Notify>) {
    loop {
        if let Err(error) = listen_once(&connect, &channel, &rung).await {
            tracing::debug!(%error, "can't listen for other processes' commits; they are found by polling meanwhile");
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn listen_once(connect: &PgConnectOptions, channel: &str, rung: &Notify) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(connect.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(channel).await?;
    // What came before the first `LISTEN`, or while the connection was broken, is found by the look that this causes.
    rung.notify_waiters();
    while listener.try_recv().await?.is_some() {
        rung.notify_waiters();
    }
    Ok(())
}

impl PostgresStore {
    /// Says that something was committed: to this process at once, to others by a message that many commits share.
    pub(super) fn announce(&self) {
        let wake = &self.shared.wake;
        wake.rung.notify_waiters();
        if self.shared.options.notifies() && wake.untold.fetch_add(1, Ordering::SeqCst) == 0 {
            let (pool, untold, channel) = (self.shared.own.clone(), Arc::clone(&wake.untold), wake.channel.to_string());
            tokio::spawn(tell(pool, untold, channel));
        }
    }

    pub(super) async fn await_change(&self, seen: &mut i64) -> Result<()> {
        let wake = &self.shared.wake;
        if self.shared.options.notifies() {
            wake.listen();
        }
        let known = wake.state(*seen);
        let mut pause = self.shared.options.poll();
        loop {
            // Before the look, so that a commit just after it is not missed.
            let rung = wake.rung.notified();
            if let Some(state) = self.look_for_change(known.as_ref()).await? {
                *seen = wake.keep(state);
                return Ok(());
            }
            // Both arms lose nothing when dropped: the state is read again.
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(pause) => pause = (pause * 3 / 2).min(QUIET),
            }
        }
    }

    /// The present state, if it differs from what is known.
    async fn look_for_change(&self, known: Option<&State>) -> Result<Option<State>> {
        let open: Vec<String> =
            known.map(|known| known.snapshot.open().map(|xid| xid.to_string()).collect()).unwrap_or_default();
        let mut own = self.own().await?;
        let row = self
            .query(LOOK)
            .bind(known.map(|known| known.snapshot.xmax().to_string()))
            .bind(open)
            .fetch_one(&mut *own)
            .await
            .context(self)?;
        let read = || {
            let snapshot = Snapshot(row.try_get::<&str, _>(0)?.into());
            Ok((State { snapshot, revision: row.try_get(1)? }, row.try_get::<Option<bool>, _>(2)?))
        };
        let (state, events) = read().context(self)?;
        let same = known.is_some_and(|known| {
            // Ids that run backwards: another server, or one that has crashed.
            known.revision == state.revision && events != Some(true) && state.snapshot.xmax() >= known.snapshot.xmax()
        });
        Ok((!same).then_some(state))
    }
}
