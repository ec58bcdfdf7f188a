//! An event's attributes as text: how each is written, and how each is read. The two modes differ only in where the texts
//! stand.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::{Uuid, uuid};

use super::{Unreadable, trace};
use crate::{
    clock,
    event::{AggregateId, Envelope, EventId, EventMeta},
};

/// In which foreign ids become UUIDs: changed, they would all be other events.
const FOREIGN: Uuid = uuid!("5f0e6a1c-5d3b-4c0e-9a53-3c1f6f1f5b0e");

/// The attributes of an event, `specversion` first, without `datacontenttype`.
pub(super) fn write(meta: &EventMeta, source: &str) -> Vec<(&'static str, String)> {
    let mut attributes = Vec::with_capacity(12);
    attributes.push(("specversion", "1.0".to_owned()));
    attributes.push(("id", meta.id.to_string()));
    attributes.push(("source", source.to_owned()));
    attributes.push(("type", meta.name.to_string()));
    if !meta.aggregate_id.as_str().is_empty() {
        attributes.push(("subject", meta.aggregate_id.to_string()));
    }
    attributes.push(("time", meta.occurred_at.to_rfc3339_opts(SecondsFormat::AutoSi, true)));
    if !meta.aggregate_type.is_empty() {
        attributes.push(("aggregatetype", meta.aggregate_type.to_string()));
    }
    attributes.extend(meta.aggregate_version.map(|version| ("aggregateversion", version.to_string())));
    attributes.push(("eventversion", meta.version.to_string()));
    attributes.extend(meta.correlation_id.map(|id| ("correlationid", id.to_string())));
    attributes.extend(meta.causation_id.map(|id| ("causationid", id.to_string())));
    attributes.push(("partitionkey", partition_key(meta)));
    attributes.extend(meta.trace.as_deref().and_then(trace::checked).map(|trace| ("traceparent", trace.to_owned())));
    attributes
}

/// The aggregate as one text.
pub(super) fn partition_key(meta: &EventMeta) -> String {
    format!("{}:{}", meta.aggregate_type, meta.aggregate_id)
}

/// The event whose attributes `get` finds by their names. `header` is the protocol's own `traceparent`.
pub(super) fn read<'a>(
    get: impl Fn(&'static str) -> Result<Option<Cow<'a, str>>, Unreadable>,
    header: Option<&str>,
    payload: Vec<u8>,
) -> Result<Envelope, Unreadable> {
    let required = |name| match get(name)? {
        Some(value) if value.is_empty() => Err(Unreadable::new(format!("the attribute `{name}` is empty"))),
        Some(value) => Ok(value),
        None => Err(Unreadable::new(format!("the attribute `{name}` is missing"))),
    };
    let spec = required("specversion")?;
    if spec != "1.0" {
        return Err(Unreadable::attribute("specversion", &spec, "\"1.0\", the version of CloudEvents that is read"));
    }
    let (id, source, name) = (required("id")?, required("source")?, required("type")?);
    let aggregate_type = get("aggregatetype")?.unwrap_or_default();
    let aggregate_id = match (get("subject")?, get("partitionkey")?) {
        (Some(subject), _) => subject,
        (None, Some(key)) => match key.strip_prefix(aggregate_type.as_ref()).and_then(|rest| rest.strip_prefix(':')) {
            Some(rest) => Cow::Owned(rest.to_owned()),
            // A foreign key: all of it tells one thing from another.
            None => key,
        },
        (None, None) => id.clone(),
    };
    let mut meta = EventMeta::new(
        EventId::from(uuid_of(&source, &id)),
        name.into_owned(),
        get("eventversion")?.map_or(Ok(1), |text| event_version(&text))?,
        aggregate_type.into_owned(),
        AggregateId::from(aggregate_id.into_owned()),
        get("time")?.map_or_else(|| Ok(clock::now()), |text| time(&text))?,
    );
    meta.aggregate_version = get("aggregateversion")?.map(|text| aggregate_version(&text)).transpose()?;
    // Who correlates does so across sources; a cause is mostly an event of the same one.
    meta.correlation_id = get("correlationid")?.map(|text| uuid_of("", &text));
    meta.causation_id = get("causationid")?.map(|text| uuid_of(&source, &text));
    let trace = get("traceparent")?;
    let trace = trace.as_deref().and_then(trace::checked).or_else(|| header.and_then(trace::checked));
    meta.trace = trace.map(str::to_owned);
    Ok(Envelope::new(meta, payload))
}

/// A UUID as it is; any other text as a UUID of it and its source.
fn uuid_of(source: &str, id: &str) -> Uuid {
    // Not the other forms of a UUID: braced or without hyphens, it is more likely something else.
    let hyphenated = (id.len() == 36).then(|| Uuid::try_parse(id).ok()).flatten();
    hyphenated.unwrap_or_else(|| {
        // A byte that no text has keeps ("a", "bc") and ("ab", "c") apart.
        let name: Vec<u8> = source.bytes().chain([0xff]).chain(id.bytes()).collect();
        Uuid::new_v5(&FOREIGN, &name)
    })
}

fn event_version(text: &str) -> Result<u32, Unreadable> {
    let version = text.parse().ok().filter(|version| *version > 0);
    version.ok_or_else(|| Unreadable::attribute("eventversion", text, "a whole number from 1 to 4294967295"))
}

fn aggregate_version(text: &str) -> Result<u64, Unreadable> {
    let wanted = "a whole number from 0 to 18446744073709551615";
    text.parse().map_err(|_| Unreadable::attribute("aggregateversion", text, wanted))
}

fn time(text: &str) -> Result<DateTime<Utc>, Unreadable> {
    // The second form has years of more than four digits, which RFC 3339 has not, and which a domain may.
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).or_else(|_| text.parse());
    time.map_err(|_| Unreadable::attribute("time", text, "a time as in RFC 3339, such as \"2026-01-31T12:00:00Z\""))
}
