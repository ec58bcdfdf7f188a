//! Who runs what: every node works the same plan out from the same rows, so none has to lead.

use std::collections::HashMap;

use crate::store::record::{Node, NodeId, SubscriptionId};

/// Spreads subscriptions evenly over the nodes that have their handlers, moving as few as possible. A subscription that
/// no node has a handler for is left out.
pub(super) fn assign(
    nodes: &[Node],
    subscriptions: &[(SubscriptionId, Option<NodeId>)],
) -> HashMap<SubscriptionId, NodeId> {
    let has = |node: &Node, id: &SubscriptionId| node.handlers.iter().any(|handler| **handler == *id.handler);
    let mut plan = HashMap::new();
    let mut load: HashMap<&NodeId, usize> = nodes.iter().map(|node| (&node.id, 0)).collect();

    // First each node keeps what it has, up to the least that everybody gets ...
    let least = subscriptions.len() / nodes.len().max(1);
    let mut open = Vec::new();
    for (id, owner) in subscriptions {
        let holder = nodes.iter().find(|node| Some(&node.id) == owner.as_ref() && has(node, id));
        match holder {
            Some(node) if load[&node.id] < least => {
                *load.entry(&node.id).or_default() += 1;
                plan.insert(id.clone(), node.id.clone());
            }
            _ => open.push((id, holder)),
        }
    }
    // ... then the rest goes to whoever has least; its holder, if that is one of them.
    for (id, holder) in open {
        let best = nodes
            .iter()
            .filter(|node| has(node, id))
            .min_by_key(|node| (load[&node.id], holder.is_none_or(|holder| holder.id != node.id), &node.id));
        if let Some(node) = best {
            *load.entry(&node.id).or_default() += 1;
            plan.insert(id.clone(), node.id.clone());
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, handlers: &[&str]) -> Node {
        Node { id: NodeId(id.into()), handlers: handlers.iter().map(|handler| (*handler).to_owned()).collect() }
    }

    fn held(handler: &str, owner: Option<&str>) -> (SubscriptionId, Option<NodeId>) {
        (SubscriptionId { handler: handler.into(), partition: 0 }, owner.map(|owner| NodeId(owner.into())))
    }

    fn counts(plan: &HashMap<SubscriptionId, NodeId>, node: &str) -> usize {
        plan.values().filter(|owner| &*owner.0 == node).count()
    }

    #[test]
    fn subscriptions_are_spread_evenly_and_move_only_where_they_must() {
        let all = ["a", "b", "c", "d"];
        let nodes = [node("n1", &all), node("n2", &all), node("n3", &all)];
        let plan = assign(
            &nodes,
            &[held("a", Some("n1")), held("b", Some("n1")), held("c", Some("n2")), held("d", Some("n2"))],
        );
        assert_eq!((counts(&plan, "n1"), counts(&plan, "n2"), counts(&plan, "n3")), (1, 2, 1));
        assert_eq!(plan[&held("c", None).0], plan[&held("d", None).0], "what need not move stays");
        let again: Vec<_> = plan.iter().map(|(id, owner)| (id.clone(), Some(owner.clone()))).collect();
        assert_eq!(assign(&nodes, &again), plan, "a settled plan stays as it is");
    }

    #[test]
    fn a_node_without_the_handler_never_gets_its_subscription() {
        let nodes = [node("new", &["a", "b"]), node("old", &["a"])];
        let plan = assign(&nodes, &[held("a", None), held("b", None)]);
        assert_eq!(&*plan[&held("b", None).0].0, "new");
        assert!(assign(&nodes, &[held("gone", None)]).is_empty());
    }
}
