//! The start-up checks that need nothing but what was linked in: every problem in one list, each with its next step.

use std::collections::{BTreeMap, HashSet};

use super::{definition::HandlerDef, registration::Modules};
use crate::event::{AggregateDef, EventDef, Source};

/// What the program declares: collected at link time, or given explicitly.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub(crate) events: Vec<&'static EventDef>,
    pub(crate) handlers: Vec<&'static HandlerDef>,
    pub(crate) aggregates: Vec<&'static AggregateDef>,
}

impl Declared {
    /// What makes the program unfit to run.
    pub(crate) fn problems(&self, modules: Option<&Modules>) -> Vec<String> {
        let mut problems = Vec::new();
        self.twice_linked(&mut problems);
        self.same_event(&mut problems);
        self.same_handler(&mut problems);
        self.same_aggregate(&mut problems);
        if let Some(modules) = modules {
            self.modules(modules, &mut problems);
        }
        problems
    }

    /// What is worth a look.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let handled: HashSet<_> =
            self.handlers.iter().flat_map(|def| def.events).map(|handled| std::ptr::from_ref(handled.event)).collect();
        let mut warnings = Vec::new();
        for event in sorted(&self.events, |event| (event.name, event.version)) {
            if !handled.contains(&std::ptr::from_ref(*event)) {
                warnings.push(format!("nobody handles event `{}` ({})", event.name, event.source));
            }
            if !is_past_tense(event.name) {
                warnings.push(format!(
                    "event `{}` is not in the past tense ({}); an event is a fact that has happened: `CardAddedEvent`, \
                     not `AddCardEvent`",
                    event.name, event.source
                ));
            }
            if !event.name.to_lowercase().contains(&event.aggregate.to_lowercase()) {
                warnings.push(format!(
                    "event `{}` does not name its aggregate `{}` ({}); its readers see the name alone",
                    event.name, event.aggregate, event.source
                ));
            }
        }
        warnings
    }

    fn sources(&self) -> impl Iterator<Item = Source> {
        let events = self.events.iter().map(|def| def.source);
        let handlers = self.handlers.iter().map(|def| def.source);
        events.chain(handlers).chain(self.aggregates.iter().map(|def| def.source))
    }

    /// A dev-dependency cycle puts one crate into the program twice: every handler would run twice.
    fn twice_linked(&self, problems: &mut Vec<String>) {
        let mut seen = HashSet::new();
        let handlers = self.handlers.iter().map(|def| (def.name, def.source));
        let doubled: HashSet<_> = handlers
            .chain(self.events.iter().map(|def| (def.name, def.source)))
            .filter(|declared| !seen.insert(*declared))
            .map(|(_, source)| source.crate_name())
            .collect();
        for name in sorted(&Vec::from_iter(doubled), |name| *name) {
            problems.push(format!(
                "crate `{name}` is linked in twice, so each of its handlers would run twice; a dev-dependency that \
                 depends on the crate itself does this: move the shared part into a crate of its own"
            ));
        }
    }

    fn same_event(&self, problems: &mut Vec<String>) {
        let mut by_name = BTreeMap::<_, Vec<&EventDef>>::new();
        for event in &self.events {
            for name in std::iter::once(&event.name).chain(event.aliases) {
                by_name.entry((*name, event.version)).or_default().push(event);
            }
        }
        for ((name, version), mut events) in by_name {
            events.dedup_by_key(|event| event.source);
            if events.len() > 1 {
                problems.push(format!(
                    "{} events are named `{name}` in version {version} ({}); rename one, `#[event(name = \"..\")]`, or \
                     give it another `version`",
                    events.len(),
                    places(events.iter().map(|event| event.source))
                ));
            }
        }
    }

    fn same_handler(&self, problems: &mut Vec<String>) {
        let mut by_name = BTreeMap::<_, Vec<&HandlerDef>>::new();
        for handler in &self.handlers {
            by_name.entry(handler.full_name()).or_default().push(handler);
            for alias in handler.aliases {
                by_name.entry((*alias).to_owned()).or_default().push(handler);
            }
        }
        for (name, mut handlers) in by_name {
            handlers.dedup_by_key(|handler| handler.source);
            if handlers.len() > 1 {
                problems.push(format!(
                    "{} handlers are named `{name}` ({}), and would share one position; rename one, \
                     `#[event_handler(.., name = \"..\")]`",
                    handlers.len(),
                    places(handlers.iter().map(|handler| handler.source))
                ));
            }
        }
    }

    fn same_aggregate(&self, problems: &mut Vec<String>) {
        let mut by_name = BTreeMap::<_, Vec<&AggregateDef>>::new();
        for aggregate in &self.aggregates {
            by_name.entry(aggregate.name).or_default().push(aggregate);
        }
        for (name, mut aggregates) in by_name {
            aggregates.dedup_by_key(|aggregate| aggregate.source);
            if aggregates.len() > 1 {
                problems.push(format!(
                    "{} aggregates are named `{name}` ({}), and would share their ids and versions; rename one, \
                     `#[aggregate_root(name = \"..\")]`",
                    aggregates.len(),
                    places(aggregates.iter().map(|aggregate| aggregate.source))
                ));
            }
        }
    }

    /// Both directions: what is listed must be there, what is there must be listed.
    fn modules(&self, modules: &Modules, problems: &mut Vec<String>) {
        let linked: HashSet<_> = self.sources().map(|source| source.crate_name()).collect();
        for name in modules.names() {
            if !linked.contains(name) {
                problems.push(format!(
                    "module `{name}` registered no event, handler or aggregate: the linker drops a crate that nobody \
                     names; write `use {name} as _;` in the program, or take it out of the list of modules"
                ));
            }
        }
        let unlisted: Vec<_> = linked.into_iter().filter(|name| !modules.lists(name)).collect();
        for name in sorted(&unlisted, |name| *name) {
            problems.push(format!(
                "crate `{name}` registers events or handlers and is not in the list of modules; add it: `modules![.., \
                 {name}]`"
            ));
        }
    }
}

fn sorted<T, K: Ord>(items: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut items: Vec<_> = items.iter().collect();
    items.sort_by_key(|item| key(item));
    items
}

fn places(sources: impl Iterator<Item = Source>) -> String {
    sources.map(|source| source.to_string()).collect::<Vec<_>>().join(", ")
}

/// Whether one of the words of a name like `CardAddedToLibraryEvent` is a past participle.
fn is_past_tense(name: &str) -> bool {
    const IRREGULAR: &[&str] = &[
        "begun",
        "bought",
        "broken",
        "brought",
        "built",
        "chosen",
        "cut",
        "done",
        "drawn",
        "driven",
        "fallen",
        "felt",
        "found",
        "frozen",
        "given",
        "gone",
        "grown",
        "held",
        "hidden",
        "kept",
        "known",
        "laid",
        "left",
        "lent",
        "lost",
        "made",
        "met",
        "paid",
        "put",
        "read",
        "run",
        "seen",
        "sent",
        "set",
        "shown",
        "sold",
        "spent",
        "split",
        "spoken",
        "stolen",
        "taken",
        "taught",
        "told",
        "thought",
        "torn",
        "won",
        "withdrawn",
        "written",
        "forgotten",
        "overdue",
    ];
    // They end like participles and are none.
    const NOUNS: &[&str] = &["feed", "seed", "need", "speed", "shed", "hundred", "breed"];
    let mut words = Vec::<String>::new();
    for c in name.chars() {
        if c.is_uppercase() || words.is_empty() || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
        }
    }
    words
        .iter()
        .map(String::as_str)
        .any(|word| (word.len() > 3 && word.ends_with("ed") && !NOUNS.contains(&word)) || IRREGULAR.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::is_past_tense;

    #[test]
    fn a_name_is_past_tense_by_one_of_its_words() {
        for name in ["CardAddedToLibraryEvent", "InvoicePaid", "card.url_changed", "OrderSentEvent"] {
            assert!(is_past_tense(name), "{name}");
        }
        for name in ["AddCardEvent", "CardUpdateEvent", "FeedEvent", "RedCardEvent"] {
            assert!(!is_past_tense(name), "{name}");
        }
    }
}
