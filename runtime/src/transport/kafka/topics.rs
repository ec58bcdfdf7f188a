//! Topics and groups: made where they are missing, and where a new group begins. All of it blocks, and is run where that
//! is allowed.

use std::time::{Duration, Instant};

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode as Code},
    metadata::{Metadata, MetadataBroker},
};

use tokio::runtime::Handle;

use super::{
    settings::Settings,
    voice::{self, Voice, kind_of},
};
use crate::error::{Error, ErrorKind, Result};

/// How long a request may take, the broker's start included.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A try within that: in between librdkafka is asked what is wrong.
const TRY: Duration = Duration::from_millis(250);

impl ConsumerContext for Voice {}

/// A client that asks questions.
pub(super) struct Inquirer {
    consumer: BaseConsumer<Voice>,
    settings: Settings,
}

impl Inquirer {
    pub(super) fn new(settings: &Settings, group: Option<&str>) -> Result<Self> {
        settings.check_ca()?;
        let consumer = BaseConsumer::from_config_and_context(&settings.inquirer(group), Voice::default())
            .map_err(|error| voice::failure("making a client", &settings.shown, &error, None))?;
        Ok(Self { consumer, settings: settings.clone() })
    }

    pub(super) fn consumer(&self) -> &BaseConsumer<Voice> {
        &self.consumer
    }

    /// How many partitions a topic has, or `None` if there is no such topic.
    pub(super) fn partitions(&self, topic: &str) -> Result<Option<i32>> {
        let metadata = self.ask("reading the topic", |consumer| consumer.fetch_metadata(Some(topic), TRY))?;
        self.count(topic, &metadata)
    }

    /// Makes the topic if it is missing, and returns how many partitions it has.
    pub(super) fn make(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) -> Result<i32> {
        let metadata = self.ask("reading the topic", |consumer| consumer.fetch_metadata(Some(topic), TRY))?;
        if let Some(partitions) = self.count(topic, &metadata)? {
            return Ok(partitions);
        }
        let settings = &self.settings;
        let doing = format!("making the topic `{topic}`");
        let client = |error| voice::failure("making a client", &settings.shown, &error, None);
        let admin = self.admin()?;
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(settings.replication));
        new.config.extend(config);
        // Any broker sends it on to the controller; old ones say that they are not it.
        let any = metadata.brokers().first().map(MetadataBroker::id);
        let create = |options: AdminOptions| Handle::current().block_on(admin.create_topics([&new], &options));
        let mut made = create(patient().broker_id(any));
        if made.as_ref().is_ok_and(|results| matches!(results[..], [Err((_, Code::NotController))])) {
            made = create(patient());
        }
        match made {
            Ok(results) => match results.into_iter().find_map(Result::err) {
                None | Some((_, Code::TopicAlreadyExists)) => self.appeared(topic, self.consumer()),
                Some((_, code)) => Err(voice::failed(&doing, &settings.shown, code, None)),
            },
            // A broker without this request makes topics when they are first asked for.
            Err(KafkaError::AdminOp(Code::UnsupportedFeature)) => {
                let mut config = settings.inquirer(None);
                config.set("allow.auto.create.topics", "true");
                let asking = BaseConsumer::from_config_and_context(&config, Voice::default()).map_err(client)?;
                self.appeared(topic, &asking)
            }
            Err(error) => Err(voice::failure(&doing, &settings.shown, &error, admin.inner().context().take())),
        }
    }

    /// A client that changes things.
    pub(super) fn admin(&self) -> Result<AdminClient<Voice>> {
        AdminClient::from_config_and_context(&self.settings.inquirer(None), Voice::default())
            .map_err(|error| voice::failure("making a client", &self.settings.shown, &error, None))
    }

    /// Waits until all brokers know a topic that was just made.
    fn appeared(&self, topic: &str, asking: &BaseConsumer<Voice>) -> Result<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(metadata) = asking.fetch_metadata(Some(topic), TRY)
                && let Some(partitions) = self.count(topic, &metadata)?
            {
                return Ok(partitions);
            }
            if Instant::now() > deadline {
                let message = format!("the topic `{topic}` was made at {} and is not there yet", self.settings.shown);
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn count(&self, topic: &str, metadata: &Metadata) -> Result<Option<i32>> {
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
        match found.error().map(Code::from) {
            None | Some(Code::NoError) => {}
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Ok(None),
            // It was just made, and has no leader yet.
            Some(Code::LeaderNotAvailable) => return Ok(None),
            Some(code) => {
                return Err(voice::failed(&format!("reading the topic `{topic}`"), &self.settings.shown, code, None));
            }
        }
        let led = found.partitions().iter().all(|partition| partition.leader() >= 0);
        Ok((led && !found.partitions().is_empty()).then(|| found.partitions().len() as i32))
    }

    /// The first and the next offset of each partition.
    pub(super) fn ends(&self, topic: &str, partitions: i32) -> Result<Vec<(i64, i64)>> {
        let end = |partition| {
            self.ask("reading a topic's ends", |consumer| consumer.fetch_watermarks(topic, partition, TRY * 4))
        };
        (0..partitions).map(end).collect()
    }

    /// Fixes where a new group begins, so that it gets what is published from now on before anybody takes it in.
    pub(super) fn begin(&self, topic: &str, partitions: i32, from_now: bool) -> Result<()> {
        // The ends are read before what is committed: whoever finds nothing committed has ends from before anybody else's
        // begin was done, and so overwrites it by an earlier place at most.
        let ends = self.ends(topic, partitions)?;
        let committed = self.ask("reading the group's offsets", |consumer| {
            let mut asked = TopicPartitionList::new();
            asked.add_partition_range(topic, 0, partitions - 1);
            consumer.committed_offsets(asked, PATIENCE)
        })?;
        let mut begin = TopicPartitionList::new();
        for (partition, (first, next)) in (0..).zip(ends) {
            let known = committed.find_partition(topic, partition).map(|found| found.offset());
            if !matches!(known, Some(Offset::Offset(_))) {
                let from = Offset::Offset(if from_now { next } else { first });
                begin
                    .add_partition_offset(topic, partition, from)
                    .map_err(|error| voice::failure("beginning a group", &self.settings.shown, &error, None))?;
            }
        }
        if begin.count() == 0 {
            return Ok(());
        }
        self.ask("beginning a group", |consumer| match consumer.commit(&begin, CommitMode::Sync) {
            // Somebody takes in for this group already: it began elsewhere, and its owner commits.
            Err(error)
                if matches!(
                    error.rdkafka_error_code(),
                    Some(Code::UnknownMemberId | Code::IllegalGeneration | Code::RebalanceInProgress)
                ) =>
            {
                Ok(())
            }
            done => done,
        })
    }

    /// Asks until there is an answer, a reason why there will be none, or the patience ends.
    pub(super) fn ask<T>(
        &self,
        doing: &str,
        question: impl Fn(&BaseConsumer<Voice>) -> Result<T, KafkaError>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = None;
        loop {
            let error = match question(&self.consumer) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Errors are events that wait to be picked up.
            for _ in 0..8 {
                let _ = self.consumer.poll(Duration::ZERO);
            }
            heard = self.consumer.context().take().or(heard);
            let hopeless = heard.as_ref().is_some_and(|(code, _)| {
                kind_of(*code) == ErrorKind::Configuration || matches!(code, Code::AllBrokersDown | Code::Resolve)
            });
            if hopeless || !passing(&error) || Instant::now() > deadline {
                return Err(voice::failure(doing, &self.settings.shown, &error, heard));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// How a request that changes something is made.
pub(super) fn patient() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

/// Whether a connection or a coordinator is still on its way.
fn passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::OperationTimedOut
                | Code::WaitingForCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::NotCoordinator
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::UnknownPartition
                | Code::RequestTimedOut
        )
    )
}

/// Runs what blocks where that is allowed.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::new(ErrorKind::Unavailable, format!("talking to Kafka was cut off: {error}"))),
    }
}
