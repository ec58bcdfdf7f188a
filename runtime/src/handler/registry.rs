//! The wiring: every handler bound to its services, and for every event the handlers that take it.
//!
//! Built once, at start-up. After that an event finds its handlers by two array reads: its definition's place in the
//! link-time slice is its index in `routes`.

use std::{
    any::{Any, TypeId},
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use super::{
    definition::{HandledEvent, HandlerDef, Instance},
    inject::DependencyKind,
    options::HandlerOptions,
    registration::EVENTS,
    services::{ServiceScope, Services, short_type_name},
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::EventDef,
};

/// One handler, bound to its services.
pub(crate) struct Wired {
    pub(crate) def: &'static HandlerDef,
    /// `group.name`.
    pub(crate) name: Arc<str>,
    pub(crate) options: HandlerOptions,
    pub(crate) instance: Option<Instance>,
    /// Whether it takes the store's transaction.
    pub(crate) transactional: bool,
    /// One per event it takes.
    entries: Vec<Arc<Entry>>,
}

/// One event of one handler, ready to be called.
pub(crate) struct Entry {
    pub(crate) handled: &'static HandledEvent,
    /// One per parameter after the event, in order; those that each call brings itself hold `()`.
    pub(crate) bound: Box<[Arc<dyn Any + Send + Sync>]>,
}

impl Wired {
    /// The entry for this event, if the handler takes it.
    pub(crate) fn entry(&self, event: &'static EventDef) -> Option<&Entry> {
        self.entries.iter().find(|entry| std::ptr::eq(entry.handled.event, event)).map(|entry| &**entry)
    }

    /// The names of the events it takes, former ones included.
    pub(crate) fn event_names(&self) -> Vec<String> {
        let names = |entry: &Arc<Entry>| {
            let event = entry.handled.event;
            std::iter::once(event.name).chain(event.aliases.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
        };
        self.entries.iter().flat_map(names).collect()
    }

    /// Whether it takes any version of an event of this name.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.handled.event.is_named(name))
    }
}

impl fmt::Debug for Wired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wired({})", self.name)
    }
}

/// Where an event leads to: a handler, and its entry for this event.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) wired: Arc<Wired>,
    pub(crate) entry: Arc<Entry>,
}

/// What an envelope's name and version lead to.
pub(crate) enum Resolution {
    Known(&'static EventDef),
    UnknownVersion(Vec<u32>),
    UnknownEvent,
}

/// All events and handlers of a program, wired.
pub(crate) struct Registry {
    pub(crate) events: Vec<&'static EventDef>,
    /// Sorted by name: the order of link-time collection is none.
    pub(crate) handlers: Vec<Arc<Wired>>,
    /// The link-time slice; finding it anew takes as long as finding an event in it.
    linked: &'static [EventDef],
    /// By the event's place in the link-time slice.
    routes: Vec<Vec<Route>>,
    /// For events that were given explicitly and are not in the slice.
    explicit_routes: HashMap<usize, Vec<Route>>,
    by_name: HashMap<&'static str, Vec<&'static EventDef>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("events", &self.events).field("handlers", &self.handlers).finish()
    }
}

/// The type of the store's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) id: TypeId,
    pub(crate) name: fn() -> String,
}

impl Connection {
    pub(crate) fn of<C: 'static>() -> Self {
        Self { id: TypeId::of::<C>(), name: short_type_name::<C> }
    }
}

/// What a handler that takes the transaction finds: the type of the store's connection, where it can be shared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransactionOffer {
    pub(crate) store: &'static str,
    pub(crate) connection: Option<Connection>,
    /// How long a handler may keep a transaction open. Where there is one writer at a time, the leases of this very
    /// process are renewed behind it, and must be in time.
    pub(crate) longest: Duration,
}

impl Registry {
    /// Wires handlers to services, noting every problem instead of stopping at the first.
    pub(crate) fn wire(
        events: Vec<&'static EventDef>,
        mut defs: Vec<&'static HandlerDef>,
        services: &Services,
        offer: TransactionOffer,
        problems: &mut Vec<String>,
    ) -> Self {
        defs.sort_by_key(|def| (def.full_name(), def.source.file, def.source.line));
        let handlers: Vec<_> = defs.iter().map(|def| Arc::new(wire_handler(def, services, offer, problems))).collect();

        let linked = EVENTS.static_slice();
        let mut routes = vec![Vec::new(); linked.len()];
        let mut explicit_routes = HashMap::<usize, Vec<Route>>::new();
        for wired in &handlers {
            for entry in &wired.entries {
                let route = Route { wired: Arc::clone(wired), entry: Arc::clone(entry) };
                match place(linked, entry.handled.event) {
                    Some(place) => routes[place].push(route),
                    None => explicit_routes.entry(address(entry.handled.event)).or_default().push(route),
                }
            }
        }

        let mut by_name = HashMap::<&'static str, Vec<&'static EventDef>>::new();
        for event in &events {
            for name in std::iter::once(&event.name).chain(event.aliases) {
                by_name.entry(name).or_default().push(event);
            }
        }
        Self { events, handlers, linked, routes, explicit_routes, by_name }
    }

    /// The handlers of an event.
    #[inline]
    pub(crate) fn routes(&self, event: &'static EventDef) -> &[Route] {
        let routes = match place(self.linked, event) {
            Some(place) => self.routes.get(place),
            None => self.explicit_routes.get(&address(event)),
        };
        routes.map_or(&[], Vec::as_slice)
    }

    /// The handlers of these groups, or all, sorted by name.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) for a group that no handler is in.
    pub(crate) fn in_groups(&self, wanted: Option<&[String]>) -> Result<Vec<Arc<Wired>>> {
        let Some(wanted) = wanted else { return Ok(self.handlers.clone()) };
        let groups = self.groups();
        let mut handlers = Vec::new();
        for group in wanted {
            let Some(members) = groups.get(group.as_str()) else {
                let known: Vec<_> = groups.keys().copied().collect();
                let message = format!("no handler is in group `{group}`; the groups are: {}", known.join(", "));
                return Err(Error::new(ErrorKind::Configuration, message));
            };
            handlers.extend(members.iter().map(|wired| Arc::clone(wired)));
        }
        handlers.sort_by(|a, b| a.name.cmp(&b.name));
        handlers.dedup_by(|a, b| Arc::ptr_eq(a, b));
        Ok(handlers)
    }

    /// The event an envelope carries.
    pub(crate) fn resolve(&self, name: &str, version: u32) -> Resolution {
        match self.by_name.get(name) {
            None => Resolution::UnknownEvent,
            Some(defs) => match defs.iter().find(|def| def.version == version) {
                Some(def) => Resolution::Known(def),
                None => Resolution::UnknownVersion(defs.iter().map(|def| def.version).collect()),
            },
        }
    }

    /// The groups there are, each with its handlers, sorted.
    pub(crate) fn groups(&self) -> BTreeMap<&'static str, Vec<&Arc<Wired>>> {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for wired in &self.handlers {
            groups.entry(wired.def.group()).or_default().push(wired);
        }
        groups
    }
}

/// Where an event stands in the link-time slice: by its address, no name is hashed. `None` for one that was not linked in.
fn place(linked: &'static [EventDef], event: &'static EventDef) -> Option<usize> {
    let place = address(event).checked_sub(linked.as_ptr().addr())? / size_of::<EventDef>();
    (place < linked.len()).then_some(place)
}

fn address(event: &'static EventDef) -> usize {
    std::ptr::from_ref(event).addr()
}

fn wire_handler(
    def: &'static HandlerDef,
    services: &Services,
    offer: TransactionOffer,
    problems: &mut Vec<String>,
) -> Wired {
    let name = def.full_name();
    let missing = |service: &str| {
        format!(
            "handler `{name}` needs `{service}`, which no service provides ({}); add `.with::<{service}>(..)` to Services",
            def.source
        )
    };

    let instance = def.instance.and_then(|build| {
        let mut scope = ServiceScope::new(services);
        let built = build(&mut scope);
        let mut noted: Vec<_> = scope.into_missing().into_iter().map(|service| service.name).collect();
        if let Err(error) = &built
            && !noted.contains(&error.name)
        {
            noted.push(error.name.clone());
        }
        noted.dedup();
        problems.extend(noted.iter().map(|service| missing(service)));
        built.ok()
    });

    let mut lacking = Vec::new();
    let mut transactional = false;
    let mut refused = None;
    let mut entries = Vec::with_capacity(def.events.len());
    for handled in def.events {
        let mut bound = Vec::with_capacity(handled.dependencies.len());
        let transactions = handled
            .dependencies
            .iter()
            .filter(|dependency| matches!(dependency.kind, DependencyKind::Transaction { .. }));
        if transactions.count() > 1 {
            problems.push(format!("handler `{name}` takes the transaction twice; there is one ({})", def.source));
        }
        for dependency in handled.dependencies {
            bound.push(match dependency.kind {
                DependencyKind::Call => nothing(),
                DependencyKind::Service { name, bind } => bind(services).unwrap_or_else(|| {
                    lacking.push(name());
                    nothing()
                }),
                DependencyKind::Transaction { name, connection } => {
                    transactional = true;
                    if offer.connection.map(|offered| offered.id) != Some(connection()) {
                        refused = Some(name());
                    }
                    nothing()
                }
            });
        }
        entries.push(Arc::new(Entry { handled, bound: bound.into() }));
    }
    lacking.sort_unstable();
    lacking.dedup();
    problems.extend(lacking.iter().map(|service| missing(service)));
    if let Some(connection) = refused {
        let (offered, instead) = match offer.connection {
            Some(offered) => (format!("gives `&mut {}`", (offered.name)()), "take that"),
            None => ("has no transactions of that kind".to_owned(), "use the store that has"),
        };
        problems.push(format!(
            "handler `{name}` takes `&mut {connection}`, but the store `{}` {offered} ({}); {instead}, or take the \
             parameter away and make the handler idempotent",
            offer.store, def.source
        ));
    }
    let mut options = def.options;
    if transactional {
        options.timeout = options.timeout.min(offer.longest);
    }
    Wired { def, name: name.into(), options, instance, transactional, entries }
}

fn nothing() -> Arc<dyn Any + Send + Sync> {
    Arc::new(())
}
