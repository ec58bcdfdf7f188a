//! Dead letters: records of a compacted topic of their handler. What becomes of one is a tombstone with its key, since
//! nothing can be taken out of a topic.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::Consumer,
    message::{BorrowedMessage, Message},
};

use super::{
    names::Names,
    publish::{Record, Sender},
    settings::Settings,
    topics::{Inquirer, PATIENCE, blocking},
    voice, wire,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::DeadReason,
    transport::record::{DeadMessage, Epitaph, Incoming, Unconfirmed},
};

const REASON: &str = "dead-reason";
const ERROR: &str = "dead-error";
const ATTEMPTS: &str = "dead-attempts";
const ORIGIN: &str = "dead-origin";

/// These topics are made with one partition, and what is in a larger one must not lose its order either.
const ONLY: Option<i32> = Some(0);

/// A topic that keeps the last record of each key, and no tombstone for longer than it must.
pub(super) const COMPACTED: &[(&str, &str)] = &[("cleanup.policy", "compact")];

/// A delivery that is given up on.
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) message: std::sync::Arc<Incoming>,
    pub(super) epitaph: Epitaph,
}

/// Puts letters into their topic; returns when the broker has them.
pub(super) async fn keep(sender: &Sender, topic: &str, letters: &[Letter]) -> Result<()> {
    let records = letters.iter().map(|letter| {
        let mut headers = wire::headers_again(&letter.message);
        headers = wire::with(headers, REASON, letter.epitaph.reason.as_str());
        headers = wire::with(headers, ERROR, &letter.epitaph.error);
        headers = wire::with(headers, ATTEMPTS, &letter.epitaph.attempts.to_string());
        headers = wire::with(headers, ORIGIN, &letter.message.origin);
        Record { topic, partition: ONLY, key: &letter.id, headers, body: Some(&letter.message.body) }
    });
    let records: Vec<_> = records.collect();
    sender.send(records.into_iter()).await.map_err(|Unconfirmed { error, .. }| error)
}

/// The letters that have no tombstone, oldest first.
pub(super) async fn list(settings: &Settings, names: &Names, limit: usize) -> Result<Vec<DeadMessage>> {
    let (settings, topic) = (settings.clone(), names.dead.clone());
    let mut letters = blocking(move || read(&settings, &topic)).await?;
    letters.truncate(limit);
    Ok(letters)
}

/// Delivers a letter to its handler again, and takes it from the list.
pub(super) async fn redrive(settings: &Settings, names: &Names, id: &str) -> Result<bool> {
    let Some(letter) = list(settings, names, usize::MAX).await?.into_iter().find(|letter| letter.id == id) else {
        return Ok(false);
    };
    let made = (settings.clone(), names.retry.clone());
    blocking(move || Inquirer::new(&made.0, None)?.make(&made.1, 1, &[])).await?;
    let again = Record {
        topic: &names.retry,
        partition: ONLY,
        key: id,
        headers: wire::headers_again(&letter.message),
        body: Some(&letter.message.body),
    };
    let sender = Sender::new(settings)?;
    sender.send([again].into_iter()).await.map_err(|Unconfirmed { error, .. }| error)?;
    bury(&sender, names, id).await
}

/// Takes a letter from the list for good.
pub(super) async fn discard(settings: &Settings, names: &Names, id: &str) -> Result<bool> {
    if !list(settings, names, usize::MAX).await?.iter().any(|letter| letter.id == id) {
        return Ok(false);
    }
    bury(&Sender::new(settings)?, names, id).await
}

async fn bury(sender: &Sender, names: &Names, id: &str) -> Result<bool> {
    let tombstone = Record { topic: &names.dead, partition: ONLY, key: id, headers: Default::default(), body: None };
    sender.send([tombstone].into_iter()).await.map_err(|Unconfirmed { error, .. }| error)?;
    Ok(true)
}

/// Reads the topic from its first record to what was its last at the beginning.
fn read(settings: &Settings, topic: &str) -> Result<Vec<DeadMessage>> {
    // A consumer that is assigned partitions by hand still names a group; it neither joins nor commits.
    let inquirer = Inquirer::new(settings, Some(&format!("{topic}.reader")))?;
    let Some(partitions) = inquirer.partitions(topic)? else { return Ok(Vec::new()) };
    let mut left = HashMap::new();
    let mut assignment = TopicPartitionList::new();
    let failed = |error| voice::failure("reading dead letters", &settings.shown, &error, None);
    for (partition, (first, next)) in (0..).zip(inquirer.ends(topic, partitions)?) {
        if next > first {
            left.insert(partition, next);
            assignment.add_partition_offset(topic, partition, Offset::Offset(first)).map_err(failed)?;
        }
    }
    let consumer = inquirer.consumer();
    consumer.assign(&assignment).map_err(failed)?;
    let mut found: HashMap<String, ((i32, i64), DeadMessage)> = HashMap::new();
    let mut deadline = Instant::now() + PATIENCE;
    while !left.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                deadline = Instant::now() + PATIENCE;
                let id = record.key().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
                match record.payload() {
                    None => drop(found.remove(&id)),
                    Some(_) => {
                        let letter = letter_of(id.clone(), &record);
                        found.insert(id, ((record.partition(), record.offset()), letter));
                    }
                }
            }
            Some(Err(error)) if Instant::now() > deadline => return Err(failed(error)),
            None if Instant::now() > deadline => {
                let message = format!("reading dead letters at {} got no answer", settings.shown);
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
            _ => {}
        }
        // Compaction and control records leave gaps: how far it is says the position, not the last record.
        if let Ok(position) = consumer.position() {
            for element in position.elements() {
                if let Offset::Offset(at) = element.offset()
                    && left.get(&element.partition()).is_some_and(|next| at >= *next)
                {
                    left.remove(&element.partition());
                }
            }
        }
    }
    let mut letters: Vec<_> = found.into_values().collect();
    letters.sort_by_key(|(place, _)| *place);
    Ok(letters.into_iter().map(|(_, letter)| letter).collect())
}

fn letter_of(id: String, record: &BorrowedMessage<'_>) -> DeadMessage {
    let text = |name| wire::header(record, name).unwrap_or_default();
    let epitaph = Epitaph {
        reason: DeadReason::parse(text(REASON)),
        error: text(ERROR).to_owned(),
        attempts: text(ATTEMPTS).parse().unwrap_or_default(),
    };
    let message = Incoming { origin: text(ORIGIN).to_owned(), ..wire::incoming(record) };
    DeadMessage::new(id, message, epitaph)
}
