//! One story for every way in which a database can fail under a running processor: commits fail clearly and leave
//! nothing behind, the processor says so and waits, and when it is mended everything goes on.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use domain_events::{
    DomainEvents, Error, handler,
    handler::HandlerDef,
    prelude::*,
    store::Store,
    testkit::{
        conformance::{Parcel, ParcelMovedEvent, StoreHarness},
        recorded, wait_until_settled,
    },
};

use crate::warnings;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What a plain handler sees, and the step it does not get over until it is let go.
#[derive(Default)]
pub(crate) struct Watch {
    seen: Mutex<Vec<u64>>,
    held: AtomicU64,
}

#[event_handler(ParcelMovedEvent, group = "trouble", max_attempts = 1000, backoff = "10ms..200ms")]
async fn watch(event: &ParcelMovedEvent, watch: Service<Watch>) {
    if event.parcel_id == "p1" {
        watch.seen.lock().unwrap().push(event.step);
        while watch.held.load(Ordering::SeqCst) == event.step {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What breaks, and what is to be seen of it.
pub(crate) struct Trouble<'a, H: StoreHarness> {
    pub(crate) harness: &'a H,
    pub(crate) store: H::Store,
    /// Writes `ledger <parcel> <step>` with the transaction.
    pub(crate) ledger: &'static HandlerDef,
    /// How long a text the events carry that are committed until the fault is felt.
    pub(crate) filler: usize,
    /// How long a text the event carries that is committed again and again.
    pub(crate) text: usize,
    /// What the error says beside the place.
    pub(crate) says: &'static str,
}

/// Commits what a parcel raises, and perhaps a business write before it.
async fn save<H: StoreHarness>(
    events: &DomainEvents<H::Store>,
    parcel: &mut Parcel,
    effect: Option<&str>,
) -> Result<(), Error> {
    let mut work = events.begin().await?;
    if let Some(effect) = effect {
        H::write_effect(work.connection(), effect).await?;
    }
    work.record(parcel);
    work.commit().await
}

impl<H: StoreHarness> Trouble<'_, H> {
    /// Part of every error's text: the database's name, or the file's folder.
    fn place(&self) -> String {
        self.harness.place().trim().rsplit('/').next().unwrap().to_owned()
    }

    pub(crate) async fn outlast(self, breaks: impl AsyncFnOnce(), mends: impl AsyncFnOnce()) {
        warnings::keep();
        let (place, watching) = (self.place(), Arc::new(Watch::default()));
        let events = DomainEvents::builder()
            .store(self.store)
            .without_linked()
            .handler(handler!(watch))
            .handler(self.ledger)
            .services(Services::new().with::<Watch>(Arc::clone(&watching)))
            .event::<ParcelMovedEvent>()
            .lease(Duration::from_secs(2))
            .payload_limit(4 * 1024 * 1024)
            .build()
            .unwrap();
        let running = events.processor().start().await.unwrap();
        let mut parcel = Parcel::new("p1");
        for step in 1..=3 {
            parcel.step(step);
            save::<H>(&events, &mut parcel, Some(&format!("business p1 {step}"))).await.unwrap();
        }
        assert_eq!(wait_until_settled(&events, LIMIT).await.len(), 0);

        // One delivery is under way when it breaks: that it was made is still to be written down.
        watching.held.store(4, Ordering::SeqCst);
        parcel.step(4);
        save::<H>(&events, &mut parcel, Some("business p1 4")).await.unwrap();
        until("step 4 is under way", async || watching.seen.lock().unwrap().last() == Some(&4)).await;
        breaks().await;
        let error = fails(&events, self.filler).await;
        assert!(error.is_temporary() && error.to_string().contains(self.says), "{error}");
        watching.held.store(0, Ordering::SeqCst);
        parcel.note(5, &noise(self.text));
        for _ in 0..3 {
            let error = save::<H>(&events, &mut parcel, None).await.unwrap_err();
            assert!(error.is_temporary() && error.to_string().contains(self.says), "{error}");
            // Whichever of the two is refused, the other one must not be there.
            save::<H>(&events, &mut parcel, Some("business p1 5")).await.unwrap_err();
            assert_eq!(parcel.pending_events().len(), 1, "the aggregate keeps its event");
        }
        until("the processor says what is wrong", async || !warnings::with(&[&place, self.says]).is_empty()).await;
        mends().await;

        let steps = recorded::<ParcelMovedEvent, _>(&events).await.into_iter().map(|(event, _)| event);
        let steps: Vec<_> = steps.filter(|event| event.parcel_id == "p1").map(|event| event.step).collect();
        assert_eq!(steps, [1, 2, 3, 4], "nothing of a commit that failed is in the log");
        let effects = self.harness.effects().await;
        assert!(!effects.contains(&"business p1 5".to_owned()), "a write of a commit that failed is there");
        save::<H>(&events, &mut parcel, Some("business p1 5")).await.unwrap();
        assert_eq!(parcel.pending_events().len(), 0);
        assert_eq!(wait_until_settled(&events, LIMIT).await.len(), 0);
        running.shutdown().await.unwrap();

        let effects = self.harness.effects().await;
        for kind in ["business", "ledger"] {
            let of_kind: Vec<_> = effects.iter().filter(|effect| effect.starts_with(&format!("{kind} p1 "))).collect();
            let expected: Vec<_> = (1..=5).map(|step| format!("{kind} p1 {step}")).collect();
            assert_eq!(of_kind, expected.iter().collect::<Vec<_>>(), "the `{kind}` writes, once and in order");
        }
        let (mut first, seen) = (BTreeSet::new(), watching.seen.lock().unwrap().clone());
        let fresh: Vec<_> = seen.iter().copied().filter(|step| first.insert(*step)).collect();
        assert_eq!(fresh, [1, 2, 3, 4, 5], "a plain handler sees everything, in order: {seen:?}");
    }
}

/// Commits of another aggregate until one fails: a fault may take a moment, or many events, to be felt.
async fn fails<S: Store>(events: &DomainEvents<S>, text: usize) -> Error {
    let begun = Instant::now();
    let mut probe = Parcel::new("probe");
    for step in 1.. {
        probe.note(step, &noise(text));
        let saved = async {
            let mut work = events.begin().await?;
            work.record(&mut probe);
            work.commit().await
        };
        if let Err(error) = saved.await {
            return error;
        }
        assert!(begun.elapsed() < LIMIT, "{step} commits went well with a broken database");
    }
    unreachable!("there is always another step")
}

/// A text that can't be made much shorter.
fn noise(length: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let letters = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state % 64) as u8)
    });
    letters.take(length).filter(|letter| *letter != '\\').collect()
}

pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < LIMIT, "waited {LIMIT:?} in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
