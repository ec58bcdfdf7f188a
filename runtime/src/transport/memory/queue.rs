//! The queue of one handler: its shares, who owns each, what was delivered and is not settled, and its dead letters.
//!
//! A share changes hands only when nothing of it is unsettled, so an aggregate is in one pair of hands at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    event::partition_of,
    transport::record::{DeadMessage, Delivery, Epitaph, Fate, Incoming, Outgoing, Settlement, Subscription, Tag},
};

/// One that takes from a queue: an inbound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member(pub(super) u64);

/// A message, and what is needed to route it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) message: Arc<Incoming>,
    event: Arc<str>,
    key_hash: u64,
    redelivered: u32,
}

impl Stored {
    pub(super) fn new(message: &Outgoing) -> Self {
        let attributes = message.content.attributes().iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let incoming = Incoming {
            origin: message.event.clone(),
            content_type: Some(message.content.content_type().to_owned()),
            attributes: attributes.collect(),
            traceparent: message.traceparent.clone(),
            body: message.content.body().to_vec(),
        };
        let event = message.event.as_str().into();
        Self { message: Arc::new(incoming), event, key_hash: message.key_hash, redelivered: 0 }
    }
}

/// A part of the aggregates. What waits in it is sorted by when it came, so what comes back finds its old place.
#[derive(Default)]
struct Share {
    waiting: BTreeMap<u64, Stored>,
    owner: Option<Member>,
    /// Who gets it as soon as nothing of it is unsettled.
    heir: Option<Member>,
}

/// A message that was delivered.
struct Unsettled {
    member: Member,
    share: usize,
    place: u64,
    stored: Stored,
}

pub(super) struct Queue {
    events: Vec<String>,
    partitions: u16,
    shares: Vec<Share>,
    /// Who takes, and whether its connection was lost since it last asked.
    members: BTreeMap<Member, bool>,
    unsettled: BTreeMap<Tag, Unsettled>,
    dead: VecDeque<(u64, Stored, Epitaph)>,
    /// Given to places, tags and dead letters.
    counter: u64,
}

impl Queue {
    pub(super) fn new(subscription: &Subscription) -> Self {
        let mut queue = Self {
            events: subscription.events.clone(),
            partitions: 0,
            shares: Vec::new(),
            members: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            dead: VecDeque::new(),
            counter: 0,
        };
        queue.divide(subscription.partitions);
        queue
    }

    /// Follows a subscription that has changed. Another number of partitions counts once nobody has it open: those who
    /// have would lose their shares in the middle of an aggregate.
    pub(super) fn update(&mut self, subscription: &Subscription) {
        self.events.clone_from(&subscription.events);
        let events = &self.events;
        for share in &mut self.shares {
            share.waiting.retain(|_, stored| events.iter().any(|event| **event == *stored.event));
        }
        if self.members.is_empty() {
            self.divide(subscription.partitions);
        }
    }

    fn divide(&mut self, partitions: u16) {
        self.partitions = partitions.max(1);
        let waiting = self.shares.drain(..).flat_map(|share| share.waiting).collect::<Vec<_>>();
        self.shares = (0..self.partitions).map(|_| Share::default()).collect();
        for (place, stored) in waiting {
            let share = self.share_of(&stored);
            self.shares[share].waiting.insert(place, stored);
        }
    }

    fn share_of(&self, stored: &Stored) -> usize {
        partition_of(stored.key_hash, self.partitions).into()
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn wants(&self, message: &Outgoing) -> bool {
        self.events.contains(&message.event)
    }

    /// How many messages wait.
    pub(super) fn len(&self) -> usize {
        self.shares.iter().map(|share| share.waiting.len()).sum()
    }

    /// Takes a message in, if the handler wants it.
    pub(super) fn offer(&mut self, stored: &Stored) {
        if self.events.iter().any(|event| **event == *stored.event) {
            let (place, share) = (self.next(), self.share_of(stored));
            self.shares[share].waiting.insert(place, stored.clone());
        }
    }

    pub(super) fn is_taken(&self) -> bool {
        !self.members.is_empty()
    }

    pub(super) fn join(&mut self, member: Member) {
        self.members.insert(member, false);
        self.assign();
    }

    /// A member is gone, well or not: what it had is there for others.
    pub(super) fn leave(&mut self, member: Member) {
        self.members.remove(&member);
        self.put_back(|unsettled| unsettled.member == member);
        for share in &mut self.shares {
            share.owner.take_if(|owner| *owner == member);
            share.heir.take_if(|heir| *heir == member);
        }
        self.assign();
    }

    /// All connections are lost.
    pub(super) fn cut(&mut self) {
        self.put_back(|_| true);
        self.members.values_mut().for_each(|lost| *lost = true);
    }

    /// Whether this member's connection was lost since it last asked.
    pub(super) fn lost(&mut self, member: Member) -> bool {
        self.members.get_mut(&member).is_some_and(std::mem::take)
    }

    fn put_back(&mut self, which: impl Fn(&Unsettled) -> bool) {
        for (_, mut unsettled) in self.unsettled.extract_if(.., |_, unsettled| which(unsettled)) {
            unsettled.stored.redelivered += 1;
            self.shares[unsettled.share].waiting.insert(unsettled.place, unsettled.stored);
        }
    }

    /// Spreads the shares evenly over the members.
    fn assign(&mut self) {
        let busy: Vec<bool> = (0..self.shares.len())
            .map(|share| self.unsettled.values().any(|unsettled| unsettled.share == share))
            .collect();
        let mut owned: BTreeMap<Member, usize> = self.members.keys().map(|member| (*member, 0)).collect();
        for (share, busy) in self.shares.iter_mut().zip(&busy) {
            if !busy && let Some(heir) = share.heir.take() {
                share.owner = Some(heir);
            }
            if let Some(count) = share.heir.or(share.owner).and_then(|member| owned.get_mut(&member)) {
                *count += 1;
            }
        }
        loop {
            let (Some((least, few)), Some((most, many))) = (
                owned.iter().min_by_key(|(_, count)| **count).map(|(member, count)| (*member, *count)),
                owned.iter().max_by_key(|(_, count)| **count).map(|(member, count)| (*member, *count)),
            ) else {
                return;
            };
            let free = self.shares.iter().position(|share| share.owner.is_none());
            if let Some(free) = free {
                self.shares[free].owner = Some(least);
            } else if many > few + 1 {
                let held = |share: &usize| self.shares[*share].heir.or(self.shares[*share].owner) == Some(most);
                let Some(given) = (0..self.shares.len()).filter(held).min_by_key(|share| busy[*share]) else { return };
                let share = &mut self.shares[given];
                if busy[given] {
                    share.heir = Some(least)
                } else {
                    share.owner = Some(least)
                }
                *owned.entry(most).or_default() -= 1;
            } else {
                return;
            }
            *owned.entry(least).or_default() += 1;
        }
    }

    /// The next deliveries for a member that may have `window` unsettled.
    pub(super) fn take(&mut self, member: Member, max: usize, window: usize) -> Vec<Delivery> {
        let held = self.unsettled.values().filter(|unsettled| unsettled.member == member).count();
        let room = max.min(window.saturating_sub(held));
        let mut deliveries = Vec::new();
        // Not always from the first on: under a steady stream the last ones would wait for ever.
        let (first, shares) = (usize::try_from(self.counter).unwrap_or(0), self.shares.len());
        for share in (0..shares).map(|step| (first + step) % shares) {
            if self.shares[share].owner != Some(member) || self.shares[share].heir.is_some() {
                continue;
            }
            while deliveries.len() < room {
                let Some((place, stored)) = self.shares[share].waiting.pop_first() else { break };
                let tag = Tag(self.next());
                let (message, redelivered) = (Arc::clone(&stored.message), stored.redelivered);
                deliveries.push(Delivery { tag, message, redelivered });
                self.unsettled.insert(tag, Unsettled { member, share, place, stored });
            }
        }
        deliveries
    }

    /// Settles what this member has; what it has not is old.
    pub(super) fn settle(&mut self, member: Member, settlements: Vec<Settlement>) {
        for Settlement { tag, fate } in settlements {
            if self.unsettled.get(&tag).is_none_or(|unsettled| unsettled.member != member) {
                continue;
            }
            let Some(Unsettled { share, place, stored, .. }) = self.unsettled.remove(&tag) else { continue };
            match fate {
                Fate::Done => {}
                Fate::Dead(_, epitaph) => {
                    let number = self.next();
                    self.dead.push_back((number, stored, epitaph));
                }
                Fate::Returned => {
                    self.shares[share].waiting.insert(place, stored);
                }
            }
        }
        if self.shares.iter().any(|share| share.heir.is_some()) {
            self.assign();
        }
    }

    pub(super) fn dead(&self, limit: usize) -> Vec<DeadMessage> {
        let dead = self.dead.iter().take(limit);
        dead.map(|(number, stored, epitaph)| {
            DeadMessage::new(number.to_string(), Incoming::clone(&stored.message), epitaph.clone())
        })
        .collect()
    }

    pub(super) fn redrive(&mut self, id: &str) -> bool {
        let Some((_, stored, _)) = self.dig_up(id) else { return false };
        let (place, share) = (self.next(), self.share_of(&stored));
        self.shares[share].waiting.insert(place, Stored { redelivered: 0, ..stored });
        true
    }

    pub(super) fn discard(&mut self, id: &str) -> bool {
        self.dig_up(id).is_some()
    }

    fn dig_up(&mut self, id: &str) -> Option<(u64, Stored, Epitaph)> {
        let at = self.dead.iter().position(|(number, ..)| number.to_string() == id)?;
        self.dead.remove(at)
    }
}
