//! What the store knows and this program does not: said when a processor starts, before it shows in dead letters.

use super::Context;
use crate::{
    config::UnknownEvents,
    error::Result,
    handler::{Registry, Resolution, Wired},
    store::{Store, record::SubscriptionState},
};

/// So many of the newest events are looked at, and so many that are spread over the log: some ten milliseconds, however
/// long the log is. Knowing every name in it would take an index that each append pays for.
const LOOKED_AT: usize = 1_000;
/// The most names that one warning lists.
const NAMED: usize = 10;

/// Warns of positions, parked deliveries and dead letters of handlers that are not linked in, and of events in the log
/// that are not. `before` is how the subscriptions stood before this processor made its own.
pub(super) async fn warn_of_strangers<S: Store>(context: &Context<S>, before: &[SubscriptionState]) -> Result<()> {
    let after = context.store.glance().await?;
    let stored = context.store.kinds(LOOKED_AT).await?;
    let handlers = handlers(&context.registry, before, &after);
    for warning in handlers.into_iter().chain(events(&context.registry, context.config.unknown_events, &stored)) {
        tracing::warn!("{warning}");
    }
    Ok(())
}

fn handlers(registry: &Registry, before: &[SubscriptionState], after: &[SubscriptionState]) -> Vec<String> {
    let is_stored = |states: &[SubscriptionState], name: &str| states.iter().any(|state| &*state.id.handler == name);
    let is_new = |wired: &&std::sync::Arc<Wired>| {
        is_stored(after, &wired.name)
            && !is_stored(before, &wired.name)
            && !wired.def.aliases.iter().any(|alias| is_stored(before, alias))
    };
    let new = listed(registry.handlers.iter().filter(is_new).map(|wired| format!("`{}`", wired.name)));
    let new = if new.is_empty() { new } else { format!(" (these are new, and have begun at their `start`: {new})") };

    let linked = |state: &SubscriptionState| registry.handlers.iter().any(|wired| wired.name == state.id.handler);
    // One whose lease is held is at work in another program.
    let strangers = after.iter().filter(|state| state.id.partition == 0 && !linked(state) && state.owner.is_none());
    let warning = |state: &SubscriptionState| {
        let SubscriptionState { parked, dead, .. } = state;
        let name = &*state.id.handler;
        match registry.handlers.iter().find(|wired| wired.def.aliases.contains(&name)) {
            Some(heir) => format!(
                "handler `{}` has not taken the position of `{name}`, its alias, over: it has one of its own, and an \
                 alias counts only before a processor first runs the handler; once nothing of `{name}` is needed any \
                 more, `admin().forget(\"{name}\")` removes it (parked: {parked}, dead letters: {dead})",
                heir.name
            ),
            None => format!(
                "the store has a position of handler `{name}`, which is not in this program (parked: {parked}, dead \
                 letters: {dead}); if it was renamed, the new one keeps the position by `alias = \"{name}\"`, given \
                 before a processor first runs it{new}; if it is gone for good, `admin().forget(\"{name}\")` removes it"
            ),
        }
    };
    strangers.map(warning).collect()
}

fn events(registry: &Registry, unknown: UnknownEvents, stored: &[(String, u32)]) -> Vec<String> {
    let (mut names, mut versions) = (Vec::new(), Vec::new());
    for (name, version) in stored {
        match registry.resolve(name, *version) {
            Resolution::Known(_) => {}
            Resolution::UnknownEvent => names.push(format!("`{name}`")),
            Resolution::UnknownVersion(mut known) => {
                known.sort_unstable();
                versions.push(format!("`{name}` in version {version} (known: {known:?})"));
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    versions.sort_unstable();
    let mut warnings = Vec::new();
    // Where they are to be passed over, others' events are nothing to wonder about.
    if !names.is_empty() && unknown == UnknownEvents::DeadLetter {
        warnings.push(format!(
            "the log has events of names that no event of this program has: {}; a handler that comes to them makes dead \
             letters of them; if one was renamed, give the new one `alias = \"..\"`; if others share this log, \
             `unknown_events(UnknownEvents::Skip)`",
            listed(names)
        ));
    }
    if !versions.is_empty() {
        warnings.push(format!(
            "the log has events in versions that this program does not have: {}; a handler that comes to them makes dead \
             letters of them; keep the type of each version that is still stored",
            listed(versions)
        ));
    }
    warnings
}

fn listed(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<_> = items.into_iter().collect();
    let mut text = items.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if items.len() > NAMED {
        text.push_str(&format!(" and {} more", items.len() - NAMED));
    }
    text
}
