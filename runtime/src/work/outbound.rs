//! From pending events to envelopes ready for the log: checked, encoded, given their causes.

use uuid::Uuid;

use crate::{
    aggregate::{PendingEvent, PendingHandle},
    error::{Error, ErrorKind, Result},
    event::{AggregateId, Envelope, EventId, EventMeta},
    store::EventLog,
};

/// What the events of one unit of work have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) trace: Option<String>,
}

impl Cause {
    /// The cause of everything that a handler does about this event.
    pub(crate) fn event(meta: &EventMeta) -> Self {
        Self {
            correlation_id: meta.correlation_id.or(Some(meta.id.as_uuid())),
            causation_id: Some(meta.id.as_uuid()),
            trace: meta.trace.clone(),
        }
    }
}

/// One recorded aggregate: the door to its pending events, and who it is.
pub(crate) struct Outbound {
    pub(crate) pending: PendingHandle,
    pub(crate) aggregate_type: &'static str,
    pub(crate) aggregate_id: AggregateId,
}

/// Writes the pending events of all these aggregates into the open transaction, in one round trip; returns, for each
/// aggregate, the ids of all that are now in it or were committed before.
pub(crate) async fn append<S: EventLog>(
    recorded: &[Outbound],
    store: &S,
    connection: &mut S::Connection,
    cause: &Cause,
    payload_limit: usize,
) -> Result<Vec<Vec<EventId>>> {
    let mut pending: Vec<_> = recorded.iter().map(|outbound| outbound.pending.to_vec()).collect();
    let all: Vec<Vec<_>> = pending.iter().map(|events| events.iter().map(PendingEvent::id).collect()).collect();

    // Some may have been offered to a transaction whose end was never seen: the application's own, or one whose commit
    // lost its answer. Those that are in the log are done.
    let is_offered = |event: &&PendingEvent| event.is_offered();
    let offered: Vec<_> = pending.iter().flatten().filter(is_offered).map(PendingEvent::id).collect();
    if !offered.is_empty() {
        let committed = store.contains(connection, &offered).await?;
        pending.iter_mut().for_each(|events| events.retain(|event| !committed.contains(&event.id())));
    }

    let mut envelopes = Vec::new();
    for (outbound, events) in recorded.iter().zip(&pending) {
        for event in events {
            envelopes.push(outbound.envelope(event, cause, payload_limit)?);
        }
    }
    for ((outbound, events), ids) in recorded.iter().zip(&pending).zip(&all) {
        if !events.is_empty() {
            outbound.pending.offer(ids);
        }
    }
    // Also where there is nothing to write: it says whether the transaction can still be committed.
    store.append(connection, &envelopes).await?;
    Ok(all)
}

impl Outbound {
    fn envelope(&self, event: &PendingEvent, cause: &Cause, payload_limit: usize) -> Result<Envelope> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidEvent, message);
        let name = event.name();
        let id = event.aggregate_id();
        if id.as_str().is_empty() || id.as_str().len() > AggregateId::MAX_BYTES {
            return Err(invalid(format!(
                "event `{name}`: its aggregate id has {} bytes; 1 to {} can be kept",
                id.as_str().len(),
                AggregateId::MAX_BYTES
            )));
        }
        if id != self.aggregate_id {
            return Err(invalid(format!(
                "event `{name}` says it happened to {} `{id}`, but it was raised by {} `{}`; raise it on the aggregate \
                 it is about",
                self.aggregate_type, self.aggregate_type, self.aggregate_id
            )));
        }
        let mut envelope =
            event.envelope().map_err(|error| invalid(format!("event `{name}` can't be written as JSON: {error}")))?;
        if envelope.payload.len() > payload_limit {
            return Err(invalid(format!(
                "event `{name}` of {} `{id}`: its payload has {} bytes, more than the limit of {payload_limit}; keep \
                 the bulk elsewhere and let the event refer to it, or raise the limit with \
                 `DomainEvents::builder().payload_limit(..)`",
                self.aggregate_type,
                envelope.payload.len(),
            )));
        }
        if let Some(problem) = lost_in_json(event, &envelope.payload) {
            return Err(invalid(format!("event `{name}` of {} `{id}`: {problem}", self.aggregate_type)));
        }
        envelope.meta.correlation_id = cause.correlation_id;
        envelope.meta.causation_id = cause.causation_id;
        envelope.meta.trace.clone_from(&cause.trace);
        Ok(envelope)
    }
}

/// What JSON can't hold is written as `null` without an error: a float that is no number, or has no bounds. Such a payload
/// could not be read again, so its event would be lost.
fn lost_in_json(event: &PendingEvent, payload: &[u8]) -> Option<String> {
    if std::str::from_utf8(payload).is_ok_and(|text| !text.contains("null")) {
        return None;
    }
    let error = (event.raised().def().decode)(payload).err()?;
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(payload).unwrap_or_default();
    let nulls: Vec<_> = fields.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.as_str()).collect();
    let fields = if nulls.is_empty() { "a field".to_owned() } else { format!("`{}`", nulls.join("`, `")) };
    Some(format!("{fields} would be `null` and could not be read again ({error}); JSON has no NaN and no infinity"))
}
