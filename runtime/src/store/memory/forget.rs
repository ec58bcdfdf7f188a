//! The end of a handler: nothing of it is left.

use std::time::Instant;

use super::state::State;
use crate::store::record::Forgotten;

impl State {
    pub(super) fn forget(&mut self, handler: &str, dead_letters: bool) -> Forgotten {
        let now = Instant::now();
        let mut known = false;
        let mut alive = None;
        for (_, row) in self.partitions(handler) {
            known = true;
            if row.is_live(now) {
                alive = row.holder.as_ref().map(|(owner, _)| owner.clone());
            }
        }
        if !known {
            return Forgotten::Unknown;
        }
        let has = |name: &String| name == handler;
        let node = self.nodes.values().find(|(node, until)| *until > now && node.handlers.iter().any(has));
        if let Some(node) = alive.or_else(|| node.map(|(node, _)| node.id.clone())) {
            return Forgotten::Alive(node);
        }
        let dead = self.dead.iter().filter(|letter| &*letter.handler == handler).count() as u64;
        if dead > 0 && !dead_letters {
            return Forgotten::DeadLetters(dead);
        }
        let parked = self.parked.len();
        self.subscriptions.retain(|id, _| &*id.handler != handler);
        self.parked.retain(|(of, _), _| &**of != handler);
        self.dead.retain(|letter| &*letter.handler != handler);
        self.marks.retain(|(of, _), _| &**of != handler);
        Forgotten::Gone { parked: (parked - self.parked.len()) as u64, dead }
    }
}
