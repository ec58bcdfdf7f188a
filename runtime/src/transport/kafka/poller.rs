//! The thread that takes in: librdkafka wants to be asked all the time, also when nobody has room for what it brings,
//! since it tells of moved partitions in its answers. It also tells the broker how far each partition is settled.

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    client::ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code},
    message::{BorrowedMessage, Message},
};

use super::{
    held::{End, Held, Lane, Place, Share},
    names::Names,
    settings::Settings,
    voice::{self, Voice, kind_of},
    wire,
};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::record::Subscription,
};

/// The longest that an answer is waited for: so late an end and a due commit are noticed.
const TURN: Duration = Duration::from_millis(25);

/// How long the answer to a question about the group is waited for. It is asked again; meanwhile nobody is told of outages.
const ANSWER: Duration = Duration::from_secs(1);

/// How long settled deliveries are gathered before the broker is told.
const GATHER: Duration = Duration::from_millis(100);

/// The window is full for so long before the partitions are paused: a pause throws away what was fetched ahead.
const FULL: Duration = Duration::from_millis(100);

/// A running poller. It stops when its [`Held`] is closed.
pub(super) struct Poller {
    /// Its other end is dropped when the thread has left the group.
    gone: mpsc::Receiver<()>,
}

impl Poller {
    pub(super) fn start(settings: &Settings, subscription: &Subscription, held: &Arc<Held>) -> Result<Self> {
        let names = Names::of(&settings.prefix, &subscription.handler)?;
        let follower = Follower {
            voice: Voice::default(),
            held: Arc::clone(held),
            events: settings.prefix.clone(),
            retry: names.retry.clone(),
            broker: settings.shown.clone(),
        };
        let failed = |error: KafkaError| voice::failure("making a consumer", &settings.shown, &error, None);
        let consumer = BaseConsumer::from_config_and_context(&settings.consumer(subscription, &names.group), follower)
            .map_err(failed)?;
        consumer.subscribe(&[&settings.prefix, &names.retry]).map_err(failed)?;
        let (alive, gone) = mpsc::channel();
        let events = subscription.events.clone();
        let held = Arc::clone(held);
        let run = move || {
            let _alive = alive;
            run(&consumer, &held, &events);
            drop(consumer);
        };
        let thread = std::thread::Builder::new().name("domain-events-kafka".to_owned()).spawn(run);
        match thread {
            Ok(_) => Ok(Self { gone }),
            Err(error) => Err(Error::new(ErrorKind::Unavailable, "no thread can be started").with_source(error)),
        }
    }

    /// Waits until it has left the group, or until the patience ends: it ends by itself then.
    pub(super) fn wait(&self, patience: Duration) {
        let _ = self.gone.recv_timeout(patience);
    }
}

fn run(consumer: &BaseConsumer<Follower>, held: &Held, events: &[String]) {
    let follower = consumer.context();
    let mut committed = Instant::now();
    let mut full_since: Option<Instant> = None;
    let mut paused = false;
    let mut due = false;
    while held.end().is_none() {
        let full = held.is_full(if paused { Duration::ZERO } else { TURN });
        if !full {
            full_since = None;
        }
        if paused && !full {
            paused = !follower.switch(consumer, BaseConsumer::resume);
        }
        let long = full && full_since.get_or_insert_with(Instant::now).elapsed() >= FULL;
        if long && !paused {
            paused = follower.switch(consumer, BaseConsumer::pause);
        }
        if !full || paused {
            match consumer.poll(TURN) {
                Some(Ok(record)) => {
                    due |= follower.take(&record, events);
                    // A partition that has just been assigned is not paused: what it brings is kept, and it is next.
                    paused &= !full;
                }
                Some(Err(error)) => follower.failed(&error),
                None => {}
            }
        }
        if due || committed.elapsed() >= GATHER {
            follower.read_notes(consumer);
            follower.commit(consumer, |_| false);
            (due, committed) = (false, Instant::now());
        }
    }
    follower.commit(consumer, |_| true);
}

/// The consumer's callbacks, all called by the thread above.
struct Follower {
    voice: Voice,
    held: Arc<Held>,
    events: String,
    retry: String,
    broker: String,
}

impl Follower {
    fn share(&self, topic: &str, partition: i32) -> Share {
        (if topic == self.events { Lane::Events } else { Lane::Retry }, partition)
    }

    fn topic(&self, lane: Lane) -> &str {
        match lane {
            Lane::Events => &self.events,
            Lane::Retry => &self.retry,
        }
    }

    fn shares(&self, list: &TopicPartitionList) -> Vec<Share> {
        list.elements().iter().map(|element| self.share(element.topic(), element.partition())).collect()
    }

    fn take(&self, record: &BorrowedMessage<'_>, events: &[String]) -> bool {
        let place = Place { share: self.share(record.topic(), record.partition()), offset: record.offset() };
        // What was redriven is this handler's, whatever it takes by now.
        let wanted = place.share.0 == Lane::Retry
            || wire::event_of(record).is_none_or(|event| events.binary_search_by(|taken| (**taken).cmp(event)).is_ok());
        self.held.take(place, wanted.then(|| wire::incoming(record)))
    }

    fn failed(&self, error: &KafkaError) {
        let Some(code) = error.rdkafka_error_code() else { return };
        // One broker of several may go without a word: librdkafka connects again, and others serve meanwhile.
        let lasting = kind_of(code) == ErrorKind::Configuration
            || matches!(code, Code::AllBrokersDown | Code::Fatal | Code::UnknownTopicOrPartition | Code::UnknownTopic)
            || matches!(error, KafkaError::MessageConsumptionFatal(_));
        if lasting {
            self.held.fail(voice::failed("taking in", &self.broker, code, self.voice.take()));
        }
    }

    /// Pauses or resumes everything that is assigned; whether that was done.
    fn switch(
        &self,
        consumer: &BaseConsumer<Self>,
        switch: fn(&BaseConsumer<Self>, &TopicPartitionList) -> KafkaResult<()>,
    ) -> bool {
        let done = consumer.assignment().and_then(|assigned| switch(consumer, &assigned));
        done.inspect_err(|error| tracing::debug!(%error, "partitions can't be paused or resumed")).is_ok()
    }

    /// Reads what stands beside the group's offsets of partitions that came.
    fn read_notes(&self, consumer: &BaseConsumer<Self>) {
        let unread = self.held.unread();
        if unread.is_empty() {
            return;
        }
        let mut asked = TopicPartitionList::new();
        for (lane, partition) in unread {
            asked.add_partition(self.topic(lane), partition);
        }
        let reading = consumer.committed_offsets(asked, ANSWER);
        match reading {
            Ok(answer) => {
                for element in answer.elements().iter().filter(|element| element.error().is_ok()) {
                    // A note of somebody else's says nothing about deaths.
                    let note = element.metadata().parse().unwrap_or_default();
                    self.held.read(self.share(element.topic(), element.partition()), note);
                }
            }
            Err(error) => tracing::debug!(%error, "the group's offsets can't be read; tried again"),
        }
    }

    /// Tells the broker what has changed; `leaving` are given up, in good order unless the inbound was dropped.
    fn commit(&self, consumer: &BaseConsumer<Self>, leaving: impl Fn(Share) -> bool) {
        let in_order = self.held.end() != Some(End::Dropped);
        let Ok(assigned) = consumer.assignment() else { return };
        let assigned = self.shares(&assigned);
        let mut telling = self.held.to_commit(|share| in_order && leaving(share));
        telling.retain(|(place, _)| assigned.contains(&place.share));
        if telling.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (Place { share: (lane, partition), offset }, note) in &telling {
            let mut committed = list.add_partition(self.topic(*lane), *partition);
            if committed.set_offset(Offset::Offset(*offset)).is_ok() {
                committed.set_metadata(note.to_string());
            }
        }
        // The client library does not say what becomes of one that is not waited for.
        match consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => {
                self.held.well();
                self.held.committed(&telling);
            }
            Err(error) => {
                tracing::debug!(%error, "settled deliveries can't be committed; tried again");
                self.held.uncommitted(&telling);
            }
        }
    }
}

impl ClientContext for Follower {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.voice.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.error(error, reason);
    }
}

impl ConsumerContext for Follower {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(_) => self.held.well(),
            Rebalance::Revoke(list) => {
                // Others begin where this process says that it ended; what was lost is no longer its to say.
                let revoked = self.shares(list);
                if !consumer.assignment_lost() {
                    self.commit(consumer, |share| revoked.contains(&share));
                }
                self.held.revoke(&revoked);
            }
            Rebalance::Error(error) => tracing::debug!(%error, "partitions can't be moved"),
        }
    }
}
