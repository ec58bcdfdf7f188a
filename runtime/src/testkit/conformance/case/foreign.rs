//! 16, from the other side: what stands in the log and no handler can be given.

use chrono::Utc;

use crate::{
    event::{AggregateId, Envelope, EventId, EventMeta},
    store::{EventLog, record::DeadReason},
    testkit::{
        conformance::{
            StoreHarness, cast,
            suite::{LIMIT, Suite, calm, commit},
        },
        wait_until_settled,
    },
};

/// Events of other programs and of newer releases, and damage: a dead letter with the reason, the payload as it was, and
/// the aggregate's next event is delivered.
pub async fn case_16_what_no_handler_can_be_given_is_a_dead_letter<H: StoreHarness>(suite: Suite<H>) {
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::FIRST]).await;
    let foreign: [(&'static str, u32, &[u8], DeadReason); 4] = [
        ("ParcelMintedEvent", 1, br#"{"by" : "another program"}"#, DeadReason::UnknownEvent),
        ("ParcelMovedEvent", 7, br#"{"of": "a newer release"}"#, DeadReason::UnknownVersion),
        ("ParcelMovedEvent", 1, br#"{"parcel_id": "p1"}"#, DeadReason::Undecodable),
        ("ParcelMovedEvent", 1, br#"["no", "object", 1e-7]"#, DeadReason::Undecodable),
    ];
    commit(&events, "p1", [1]).await;
    let store = events.store();
    for (name, version, payload, _) in foreign {
        let id = AggregateId::from("p1");
        let meta = EventMeta::new(EventId::generate(), name, version, "Parcel", id, Utc::now());
        let mut transaction = store.begin().await.expect("a transaction begins");
        let envelope = Envelope::new(meta, payload.to_vec());
        let appended = store.append(H::Store::connection(&mut transaction), &[envelope]).await;
        appended.expect("what is JSON can be kept");
        store.commit(transaction).await.expect("a transaction commits");
    }
    commit(&events, "p1", [2]).await;

    let running = events.processor().start().await.expect("a processor starts");
    let dead = wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");
    assert_eq!(stage.steps("first", "p1"), [1, 2], "the rest flows, in order");
    let found: Vec<_> = dead
        .iter()
        .map(|letter| {
            let Envelope { meta, payload } = &letter.envelope;
            (&*meta.name, meta.version, String::from_utf8_lossy(payload), letter.reason)
        })
        .collect();
    let expected =
        foreign.map(|(name, version, payload, reason)| (name, version, String::from_utf8_lossy(payload), reason));
    assert_eq!(found, expected, "the dead letters, with their payloads as they were");
}
