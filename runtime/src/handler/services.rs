//! The services handlers ask for, by type: given once at start-up, checked there, shared by every call.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::Arc,
};

/// A shared service in a handler's parameters or fields: `Service<dyn ProfileService>`, or `Service<Mailer>`.
///
/// It dereferences to the service, and is as cheap to clone as an `Arc`. A test makes one with [`Service::new`].
///
/// ```
/// use domain_events::prelude::*;
/// use std::sync::Arc;
///
/// trait Clockwork: Send + Sync { fn ticks(&self) -> u32; }
/// struct Fake;
/// impl Clockwork for Fake { fn ticks(&self) -> u32 { 7 } }
///
/// let service: Service<dyn Clockwork> = Service::new(Arc::new(Fake));
/// assert_eq!(service.ticks(), 7);
/// ```
pub struct Service<T: ?Sized>(Arc<T>);

impl<T: ?Sized> Service<T> {
    /// A service out of a shared value.
    #[must_use]
    pub fn new(service: Arc<T>) -> Self {
        Self(service)
    }
}

impl<T: ?Sized> From<Arc<T>> for Service<T> {
    fn from(service: Arc<T>) -> Self {
        Self(service)
    }
}

impl<T: ?Sized> Deref for Service<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> Clone for Service<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> fmt::Debug for Service<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service<{}>", short_type_name::<T>())
    }
}

/// A type that a [`Service`] can hold when it is injected: handlers run on many threads.
#[diagnostic::on_unimplemented(
    message = "the service `{Self}` can't be shared between threads",
    label = "not `Send + Sync`",
    note = "say so where the trait is declared: `trait Mailer: Send + Sync`"
)]
pub trait Shared: Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: ?Sized + Send + Sync + 'static> Shared for T {}

/// Everything handlers may ask for, given to the builder once.
///
/// ```
/// use domain_events::Services;
/// use std::sync::Arc;
///
/// trait Mailer: Send + Sync {}
/// struct Smtp;
/// impl Mailer for Smtp {}
///
/// let services = Services::new().with::<dyn Mailer>(Arc::new(Smtp));
/// assert!(services.contains::<dyn Mailer>());
/// ```
#[derive(Default)]
pub struct Services {
    by_type: HashMap<TypeId, Entry>,
}

struct Entry {
    name: String,
    service: Arc<dyn Any + Send + Sync>,
}

impl Services {
    /// No services yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service under the type handlers ask for it by; a second one of the same type takes the first one's place.
    #[must_use]
    pub fn with<T: ?Sized + Send + Sync + 'static>(mut self, service: Arc<T>) -> Self {
        let entry = Entry { name: short_type_name::<T>(), service: Arc::new(Service(service)) };
        self.by_type.insert(TypeId::of::<T>(), entry);
        self
    }

    /// Whether there is a service of this type.
    #[must_use]
    pub fn contains<T: ?Sized + 'static>(&self) -> bool {
        self.by_type.contains_key(&TypeId::of::<T>())
    }

    /// The names of all service types, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.by_type.values().map(|entry| entry.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The `Service<T>` for this type, still behind `Any`: what a handler's call binds to.
    pub(crate) fn bind<T: ?Sized + 'static>(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.by_type.get(&TypeId::of::<T>()).map(|entry| Arc::clone(&entry.service))
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// A service that was asked for and that nobody gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingService {
    pub(crate) name: String,
}

impl fmt::Display for MissingService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no service provides `{0}`; add `.with::<{0}>(..)` to Services", self.name)
    }
}

impl std::error::Error for MissingService {}

/// The services, as [`FromServices`] sees them: asking for a missing one is noted, so that start-up can list all.
#[derive(Debug)]
pub struct ServiceScope<'a> {
    services: &'a Services,
    missing: Vec<MissingService>,
}

impl<'a> ServiceScope<'a> {
    pub(crate) fn new(services: &'a Services) -> Self {
        Self { services, missing: Vec::new() }
    }

    /// The service of this type.
    ///
    /// # Errors
    ///
    /// If nobody gave one. Ask for all you need before you return the error, and start-up lists all that are missing.
    pub fn get<T: ?Sized + Send + Sync + 'static>(&mut self) -> Result<Service<T>, MissingService> {
        let bound = self.services.bind::<T>();
        match bound.as_deref().and_then(|service| service.downcast_ref::<Service<T>>()) {
            Some(service) => Ok(service.clone()),
            None => {
                let missing = MissingService { name: short_type_name::<T>() };
                self.missing.push(missing.clone());
                Err(missing)
            }
        }
    }

    pub(crate) fn into_missing(self) -> Vec<MissingService> {
        self.missing
    }
}

/// A handler type that can be built from services, once, at start-up. Derive it on a struct whose fields are all
/// `Service<..>`, or write it by hand where the handler needs more.
///
/// ```
/// use domain_events::prelude::*;
///
/// trait SearchIndex: Send + Sync {}
///
/// #[derive(FromServices)]
/// struct SearchIndexer {
///     index: Service<dyn SearchIndex>,
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be built from services",
    label = "not known how to build this handler",
    note = "add `#[derive(FromServices)]` to `{Self}`, whose fields are then all `Service<..>`; or implement \
            `FromServices` for it"
)]
pub trait FromServices: Send + Sync + Sized + 'static {
    /// Builds the handler.
    ///
    /// # Errors
    ///
    /// The service that is missing.
    fn from_services(services: &mut ServiceScope<'_>) -> Result<Self, MissingService>;
}

/// A field of a struct that derives `FromServices`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a field of a struct that derives `FromServices`",
    label = "expected `Service<..>`",
    note = "to give this field a value of your own, implement `FromServices` by hand"
)]
pub trait FieldFromServices: Sized {
    #[doc(hidden)]
    fn field(services: &mut ServiceScope<'_>) -> Result<Self, MissingService>;
}

impl<T: ?Sized + Shared> FieldFromServices for Service<T> {
    fn field(services: &mut ServiceScope<'_>) -> Result<Self, MissingService> {
        services.get::<T>()
    }
}

/// `dyn my_crate::ports::Mailer` -> `dyn Mailer`: what the user wrote, most likely.
pub(crate) fn short_type_name<T: ?Sized>() -> String {
    shorten(type_name::<T>())
}

fn shorten(full: &str) -> String {
    let mut short = String::with_capacity(full.len());
    let mut segment = String::new();
    let mut chars = full.chars().peekable();
    while let Some(c) = chars.next() {
        if c == ':' && chars.peek() == Some(&':') {
            chars.next();
            segment.clear();
        } else if c.is_alphanumeric() || c == '_' {
            segment.push(c);
        } else {
            short.push_str(&segment);
            segment.clear();
            short.push(c);
        }
    }
    short + &segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_type_name_keeps_what_a_user_writes() {
        assert_eq!(shorten("dyn my_crate::ports::Mailer"), "dyn Mailer");
        assert_eq!(shorten("alloc::sync::Arc<core::option::Option<a::B>>"), "Arc<Option<B>>");
        assert_eq!(shorten("(u8, &str)"), "(u8, &str)");
    }
}
