//! Removing all that belongs to a handler. Blocks.

use rdkafka::{
    admin::AdminOptions,
    error::{KafkaError, RDKafkaErrorCode as Code},
};
use tokio::runtime::Handle;

use super::{
    names::Names,
    settings::Settings,
    topics::{Inquirer, PATIENCE},
    voice,
};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::taken_in,
};

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
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    // The group first: it says whether somebody is in it.
    let groups = Handle::current().block_on(admin.delete_groups(&[&names.group], &options));
    for group in groups.map_err(|error| refused(settings, &format!("deleting the group `{}`", names.group), &error))? {
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
    for topic in deleted.map_err(|error| refused(settings, "deleting the handler's topics", &error))? {
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

fn refused(settings: &Settings, doing: &str, error: &KafkaError) -> Error {
    match error.rdkafka_error_code() {
        Some(Code::UnsupportedFeature) => {
            let message = format!("{doing} at {}: this broker does not know the request", settings.shown);
            Error::new(ErrorKind::Configuration, message)
        }
        _ => voice::failure(doing, &settings.shown, error, None),
    }
}
