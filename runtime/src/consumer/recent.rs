//! The events that were handled last: a broker that did not hear of it delivers them again, and out of their order then.

use std::collections::VecDeque;

use foldhash::{HashSet, HashSetExt};

use crate::event::EventId;

pub(super) struct Recent {
    ids: HashSet<EventId>,
    order: VecDeque<EventId>,
    limit: usize,
}

impl Recent {
    /// Remembers so many.
    pub(super) fn new(limit: usize) -> Self {
        Self { ids: HashSet::new(), order: VecDeque::new(), limit }
    }

    pub(super) fn insert(&mut self, id: EventId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
            if self.order.len() > self.limit
                && let Some(oldest) = self.order.pop_front()
            {
                self.ids.remove(&oldest);
            }
        }
    }

    pub(super) fn contains(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::new(2);
        let ids: Vec<_> = (0..3).map(|_| EventId::generate()).collect();
        ids.iter().for_each(|id| recent.insert(*id));
        assert!(!recent.contains(ids[0]) && recent.contains(ids[1]) && recent.contains(ids[2]));
    }
}
