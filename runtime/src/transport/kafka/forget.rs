//! Removing all that belongs to a handler. Blocks.

use rdkafka::{
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode as Code},
    metadata::MetadataBroker,
};
use tokio::runtime::Handle;

use super::{
    names::Names,
    settings::Settings,
    topics::{Inquirer, PATIENCE, patient},
    voice,
};
use crate::{error::Result, transport::taken_in};

/// Deletes the group and the topics of a handler that nobody takes in for; `false` if there are none.
pub(super) fn all(settings: &Settings, names: &Names, handler: &str) -> Result<bool> {
    let inquirer = Inquirer::new(settings, None)?;
    let mut found = false;
    let mut topics = Vec::new();
    for topic in [&*names.retry, &*names.dead] {
        if inquirer.partitions(topic)?.is_some() {
            topics.push(topic);
        }
    }
    let admin = inquirer.admin()?;
    let failure = |doing: &str, error: &KafkaError| voice::failure(doing, &settings.shown, error, None);
    let options = patient();
    // Whether a broker knows such requests, by a topic that nobody has: where it does not know how to delete a group,
    // librdkafka 2.12 aborts the process.
    let metadata = inquirer.ask("reading the topic", |asking| asking.fetch_metadata(Some(&names.retry), PATIENCE))?;
    let any = patient().broker_id(metadata.brokers().first().map(MetadataBroker::id));
    let nobodys = format!("{}.nobodys", names.group);
    let asked = Handle::current().block_on(admin.delete_topics(&[&nobodys], &any));
    asked.map_err(|error| failure(&format!("deleting what belongs to `{handler}`"), &error))?;
    // The group first: it says whether somebody is in it.
    let groups = Handle::current().block_on(admin.delete_groups(&[&names.group], &options));
    for group in groups.map_err(|error| failure(&format!("deleting the group `{}`", names.group), &error))? {
        match group {
            Ok(_) => found = true,
            Err((_, Code::GroupIdNotFound)) => {}
            Err((_, Code::NonEmptyGroup)) => return Err(taken_in(handler, &settings.shown, "a process")),
            Err((group, code)) => {
                return Err(voice::failed(&format!("deleting the group `{group}`"), &settings.shown, code, None));
            }
        }
    }
    if topics.is_empty() {
        return Ok(found);
    }
    let deleted = Handle::current().block_on(admin.delete_topics(&topics, &options));
    for topic in deleted.map_err(|error| failure("deleting the handler's topics", &error))? {
        match topic {
            Ok(_) => found = true,
            Err((_, Code::UnknownTopicOrPartition | Code::UnknownTopic)) => {}
            Err((topic, code)) => {
                return Err(voice::failed(&format!("deleting the topic `{topic}`"), &settings.shown, code, None));
            }
        }
    }
    Ok(found)
}
