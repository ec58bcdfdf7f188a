//! Who should hold which shard: worked out from the document alone, so that all processes come to the same answer.

use std::collections::BTreeMap;

use super::ledger::Ledger;

/// What this process should do next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Free shards that fall to it.
    pub(super) take: Vec<usize>,
    /// How many of its own it should give up.
    pub(super) give: usize,
}

/// Shards without an owner go to whoever has fewest; while all have one, whoever has most gives up some to whoever has
/// fewest, until they differ by one at most. Shards of processes that are not in `ledger.nodes` are free.
pub(super) fn plan(ledger: &Ledger, me: &str) -> Plan {
    let mut counts: BTreeMap<&str, usize> = ledger.nodes.keys().map(|node| (node.as_str(), 0)).collect();
    let mut plan = Plan::default();
    let mut free = Vec::new();
    for (index, shard) in ledger.shards.iter().enumerate() {
        match shard.owner.as_deref().and_then(|owner| counts.get_mut(owner)) {
            Some(count) => *count += 1,
            None => free.push(index),
        }
    }
    for index in &free {
        let Some((node, count)) = counts.iter_mut().min_by_key(|(_, count)| **count) else { break };
        *count += 1;
        if *node == me {
            plan.take.push(*index);
        }
    }
    while free.is_empty() {
        let least = counts.iter().min_by_key(|(_, count)| **count).map(|(node, count)| (*node, *count));
        let most = counts.iter().max_by_key(|(_, count)| **count).map(|(node, count)| (*node, *count));
        let (Some((poor, least)), Some((rich, most))) = (least, most) else { break };
        if most <= least + 1 {
            break;
        }
        counts.insert(poor, least + 1);
        counts.insert(rich, most - 1);
        plan.give += usize::from(rich == me);
    }
    plan
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

    use super::*;
    use crate::transport::nats::ledger::{Node, Shard};

    fn ledger(nodes: &[&str], owners: &[Option<&str>]) -> Ledger {
        let shard = |owner: &Option<&str>| Shard { owner: owner.map(str::to_owned), ..Shard::default() };
        Ledger {
            nodes: nodes.iter().map(|node| ((*node).to_owned(), Node::default())).collect(),
            shards: owners.iter().map(shard).collect(),
            ..Ledger::default()
        }
    }

    #[test]
    fn all_plans_together_spread_the_shards_evenly_whoever_comes_and_goes() {
        let names = ["a", "b", "c", "d", "e"];
        let mut owners: Vec<Option<&str>> = vec![None; 8];
        for living in [&names[..1], &names[..2], &names[..5], &names[1..4], &names[3..4], &names[..]] {
            for _ in 0..20 {
                for node in living {
                    let plan = plan(&ledger(living, &owners), node);
                    plan.take.iter().for_each(|index| owners[*index] = Some(node));
                    let mine = owners.iter_mut().filter(|owner| **owner == Some(node));
                    mine.take(plan.give).for_each(|owner| *owner = None);
                }
            }
            let counts: Vec<_> =
                living.iter().map(|node| owners.iter().filter(|owner| **owner == Some(node)).count()).collect();
            assert_eq!(counts.iter().sum::<usize>(), 8, "{owners:?}");
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{counts:?}");
        }
    }
}
