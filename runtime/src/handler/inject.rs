//! What a handler may take beside its event.

use std::{
    any::{Any, TypeId},
    sync::Arc,
};

use super::{
    definition::Invocation,
    services::{Service, Services, Shared, short_type_name},
};
use crate::event::EventMeta;

/// A value that an event handler can take after its event: `Service<T>`, `&Service<T>`, `&EventMeta`, [`Attempt`], or
/// the store's transaction (`&mut PgConnection`, `&mut SqliteConnection`, `&mut SqlTransaction`).
///
/// Not for implementing: what a handler can be given is what the runtime has.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be injected into an event handler",
    label = "not something a handler can take",
    note = "after the event, a handler takes `Service<dyn Trait>`, `Service<Type>`, `&EventMeta`, `Attempt` or the \
            store's transaction, `&mut PgConnection`, `&mut SqliteConnection` or `&mut SqlTransaction`"
)]
pub trait Inject<'a>: Sized {
    #[doc(hidden)]
    const DEPENDENCY: Dependency;

    #[doc(hidden)]
    fn inject(call: &mut Invocation<'a>, index: usize) -> Self;
}

/// What one parameter needs, known before the handler is ever called.
#[derive(Debug, Clone, Copy)]
pub struct Dependency {
    pub(crate) kind: DependencyKind,
}

type Bind = fn(&Services) -> Option<Arc<dyn Any + Send + Sync>>;

#[derive(Debug, Clone, Copy)]
pub(crate) enum DependencyKind {
    /// A service, by its type's name and how to find it.
    Service { name: fn() -> String, bind: Bind },
    /// The connection of a store's open transaction, by its type.
    Transaction { name: fn() -> String, connection: fn() -> TypeId },
    /// Something every call has.
    Call,
}

impl Dependency {
    const fn service<T: ?Sized + 'static>() -> Self {
        Self { kind: DependencyKind::Service { name: short_type_name::<T>, bind: Services::bind::<T> } }
    }

    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        expect(dead_code, reason = "only stores with SQL have transactions")
    )]
    pub(crate) const fn transaction<C: Any>() -> Self {
        Self { kind: DependencyKind::Transaction { name: short_type_name::<C>, connection: TypeId::of::<C> } }
    }

    const CALL: Self = Self { kind: DependencyKind::Call };
}

impl<'a, T: ?Sized + Shared> Inject<'a> for Service<T> {
    const DEPENDENCY: Dependency = Dependency::service::<T>();

    fn inject(call: &mut Invocation<'a>, index: usize) -> Self {
        call.bound::<Service<T>>(index).clone()
    }
}

impl<'a, T: ?Sized + Shared> Inject<'a> for &'a Service<T> {
    const DEPENDENCY: Dependency = Dependency::service::<T>();

    fn inject(call: &mut Invocation<'a>, index: usize) -> Self {
        call.bound::<Service<T>>(index)
    }
}

impl<'a> Inject<'a> for &'a EventMeta {
    const DEPENDENCY: Dependency = Dependency::CALL;

    fn inject(call: &mut Invocation<'a>, _: usize) -> Self {
        call.meta()
    }
}

/// Which attempt of this delivery it is, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u32);

impl<'a> Inject<'a> for Attempt {
    const DEPENDENCY: Dependency = Dependency::CALL;

    fn inject(call: &mut Invocation<'a>, _: usize) -> Self {
        Attempt(call.attempt())
    }
}
