//! The whole wiring as sorted text, made for a golden test: the only guard that sees a *deleted* attribute.

use std::fmt;

use super::{options::OnDead, registry::Registry};

/// Prints a registry: every event with its handlers, and how each handler is run.
pub(crate) struct Describe<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) store: &'static str,
}

impl fmt::Display for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, store } = self;
        writeln!(f, "{} events, {} handlers, store: {store}", registry.events.len(), registry.handlers.len())?;

        let mut events = registry.events.clone();
        events.sort_by_key(|event| (event.name, event.version));
        for event in events {
            writeln!(f, "\nevent {} v{} of {} ({})", event.name, event.version, event.aggregate, event.source.module)?;
            let routes = registry.routes(event);
            if routes.is_empty() {
                writeln!(f, "  nobody handles it")?;
            }
            for route in routes {
                writeln!(f, "  -> {}", route.wired.name)?;
            }
        }

        for (group, handlers) in registry.groups() {
            writeln!(f, "\ngroup {group}")?;
            for wired in handlers {
                let options = &wired.options;
                write!(f, "  {} ({})", wired.name, wired.def.source.module)?;
                write!(f, ": {} attempts, timeout {:?}", options.max_attempts, options.timeout)?;
                write!(f, ", backoff {:?}..{:?}", options.backoff.delay(1), options.backoff.delay(u32::MAX))?;
                write!(f, ", concurrency {}", options.concurrency)?;
                if options.partitions > 1 {
                    write!(f, ", {} partitions", options.partitions)?;
                }
                if options.on_dead == OnDead::Park {
                    f.write_str(", parks behind dead letters")?;
                }
                if options.once {
                    f.write_str(", once")?;
                }
                if wired.transactional {
                    f.write_str(", transactional")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
