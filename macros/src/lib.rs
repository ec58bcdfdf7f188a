//! The macros of `domain-events`. Use them through that crate, which re-exports them: the expansions name it.
//!
//! Every mistake has one message, at the place where it was made; all mistakes of an item are told at once. Beside an
//! error the macros still emit the item and stubs of its impls, so that the code that uses it has no errors of its own.

#![forbid(unsafe_code)]

mod aggregate;
mod duration;
mod errors;
mod event;
mod fallback;
mod handler;
mod options;
mod paths;
mod registration;
mod services;
#[cfg(test)]
mod snapshots;
mod suggest;
mod syntax;

use proc_macro::TokenStream;

/// Makes a struct or an enum a domain event, and registers it at link time.
///
/// ```text
/// #[derive(Debug, Clone, DomainEvent)]
/// #[event(aggregate = Card)]
/// pub struct CardAddedToLibraryEvent {
///     #[event(aggregate_id)]
///     pub card_id: CardId,
///     pub curator_id: CuratorId,
///     #[event(occurred_at)]
///     pub occurred_at: DateTime<Utc>,
/// }
/// ```
///
/// # On the type: `#[event(..)]`
///
/// | option | value | default |
/// |---|---|---|
/// | `aggregate` | the aggregate root that raises it, a path; **required** | |
/// | `name` | the name it is stored and published under: a text of 1 to 255 bytes without spaces, or a constant | the type's name |
/// | `version` | the version of its payload: a `u32` from 1, or a constant | 1 |
/// | `alias` | a former name, under which it may still stand in the log | none |
/// | `aliases` | several: `aliases("a", "b")` or `aliases = ["a", "b"]` | none |
/// | `crate` | the path of `domain_events`, where it has another name | `::domain_events` |
///
/// # On a field
///
/// * `#[event(aggregate_id)]`, exactly one, in an enum one in every variant: the id of the aggregate it happened to.
///   Its type implements `Display`; that text, 1 to 255 bytes, is the id.
/// * `#[event(occurred_at)]`, at most one, of type `DateTime<Utc>`: when it happened; without it, the time of `raise`
///   counts. For a struct the derive also writes `new(..)`, as visible as the struct: it takes all other fields in
///   order and fills in the time of the [`Clock`]. In an enum either all variants have one or none; there is no `new`.
///
/// Fields of a tuple struct are marked the same way. An event is neither generic nor a union, and it owns its data.
///
/// # Serialization
///
/// This derive is all an event needs: payloads are JSON, written and read as serde would with its own derives.
/// `#[serde(..)]` on the type, on variants and on fields is honoured; a field's type needs `Serialize` and
/// `Deserialize` unless `skip` or `with` says otherwise.
///
/// An event that also derives or implements `Serialize` or `Deserialize` keeps its own: each side on its own is never
/// overridden, and asks nothing of the fields. `#[serde(from)]`, `try_from`, `into`, `remote` and `bound` are honoured
/// by these only: with one of them, derive serde's trait beside this one; the error says which.
///
/// [`Clock`]: https://docs.rs/domain-events/latest/domain_events/struct.Clock.html
#[proc_macro_derive(DomainEvent, attributes(event, serde))]
pub fn derive_domain_event(input: TokenStream) -> TokenStream {
    event::derive(input.into()).into()
}

/// Makes a struct with named fields an aggregate root: it can raise the events declared with `aggregate = ` its name.
///
/// ```text
/// #[aggregate_root]
/// pub struct Card {
///     #[aggregate(id)]
///     id: CardId,
///     #[aggregate(version)]
///     version: u64,
///     events: PendingEvents,
/// }
/// ```
///
/// # Options
///
/// | option | value | default |
/// |---|---|---|
/// | `name` | the name it is stored and published under: a text of 1 to 255 bytes without spaces, or a constant | the type's name |
/// | `crate` | the path of `domain_events`, where it has another name | `::domain_events` |
///
/// # Fields
///
/// * `#[aggregate(id)]`, exactly one: its identity. The type implements `Display`; that text, 1 to 255 bytes, is the id.
/// * `#[aggregate(version)]`, at most one, a `u64`, `i64`, `u32` or `i32`: grows by one with each raised event, and
///   lets a store refuse a write that is based on an older state.
/// * one field whose type's last name is `PendingEvents`: what was raised and is not committed yet. It needs no mark.
///
/// `#[cfg]` on one of these three is refused: an attribute macro can't see whether it holds. The struct is otherwise
/// left as it is; put derives above or below.
#[proc_macro_attribute]
pub fn aggregate_root(args: TokenStream, item: TokenStream) -> TokenStream {
    aggregate::expand(args.into(), item.into()).into()
}

/// Makes a function, or the methods of a struct, an event handler, and registers it at link time.
///
/// ```text
/// #[event_handler(CardAddedToLibraryEvent, group = "notifications", max_attempts = 5)]
/// async fn notify_followers(
///     event: &CardAddedToLibraryEvent,
///     notifications: Service<dyn NotificationService>,
/// ) -> Result<(), NotifyError> { .. }
///
/// #[event_handler(CardAddedToLibraryEvent)]
/// impl SearchIndexer {
///     async fn handle(&self, event: &CardAddedToLibraryEvent, meta: &EventMeta) -> Result<(), IndexError> { .. }
/// }
///
/// #[event_handler(CardAddedToLibraryEvent, CardRemovedFromLibraryEvent)]
/// impl LibraryStatistics {
///     async fn on_added(&self, event: &CardAddedToLibraryEvent) { .. }
///     async fn on_removed(&self, event: &CardRemovedFromLibraryEvent) { .. }
/// }
/// ```
///
/// # The function
///
/// It is an `async fn` and not generic. Its first parameter is a reference to the event. After that it takes, in any
/// order, `Service<dyn Trait>` or `Service<Type>` (also by reference), `&EventMeta`, `Attempt`, or the connection of
/// the store's transaction, `&mut PgConnection` or `&mut SqliteConnection` (with `SqlStore`, `&mut SqlTransaction`). It
/// returns `()` or `Result<(), E>`, where `E` is any error type that is `Send + Sync`, `HandlerError`, `String` or
/// `&str`. Its future is `Send`.
///
/// The item stays as written, so a test calls it like any other function.
///
/// # The struct
///
/// It implements `FromServices`, mostly by `#[derive(FromServices)]`, and is built once, at start-up. Its methods take
/// `&self`. With one event, the method is called `handle`; with several, there is one method per event, found by its
/// parameter's type, under any name. All other methods are left alone, and so are those that are not `async` beside one
/// that is.
///
/// A type is one handler, with one such block. For more events, list them all in its attribute; for a second
/// subscription, make a second type.
///
/// Methods and not one enum of events: each is tested by calling it with one event, and a new event in the list is a
/// new method instead of a new arm. It is still one subscription, so the events arrive in the order they were
/// committed, whatever their type.
///
/// # Options
///
/// Each value can be a literal or a constant expression. A constant's type is that of the `HandlerOptions` method of
/// the same name; the ranges hold for both.
///
/// | option | value | default |
/// |---|---|---|
/// | `group` | the handlers that a deployment runs together; a text of 1 to 255 bytes without spaces | the crate's name |
/// | `name` | its name within the group; a text of 1 to 255 bytes without spaces | the function's or the struct's name |
/// | `alias` | a former full name, `group.name`, whose position it takes over | none |
/// | `aliases` | several: `aliases("a", "b")` or `aliases = ["a", "b"]` | none |
/// | `max_attempts` | how often a delivery is tried before it is a dead letter, from 1 | 10 |
/// | `backoff` | the wait after the first failure and the limit it doubles up to: `"500ms..10m"`; or only the first, `"2s"`, with the greater of it and 5 minutes as the limit | `"1s..5m"` |
/// | `timeout` | how long one attempt may take, more than zero: `"30s"` | `"60s"` |
/// | `on_dead` | what a dead letter means for the aggregate's later events: `"continue"` with them, or `"park"` them | `"continue"` |
/// | `once` | alone or `= true`: mark each event before it is handled, so that a crash never makes it handled twice | `false` |
/// | `partitions` | into how many subscriptions it is split by aggregate, 1 to 256 | 1 |
/// | `concurrency` | how many deliveries of different aggregates run at a time in one process, 1 to 1024 | 16 |
/// | `start` | where it begins when it is new: at the `"beginning"` of the log, or `"now"` | `"beginning"` |
/// | `crate` | the path of `domain_events`, where it has another name | `::domain_events` |
///
/// A duration is a whole number and a unit: `ms`, `s`, `m`, `h` or `d` (24 hours).
///
/// `#[cfg]` on a parameter, or on a method that handles an event, is refused: the macro can't see whether it holds. On
/// the function or the `impl` block it works.
#[proc_macro_attribute]
pub fn event_handler(args: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(args.into(), item.into()).into()
}

/// Builds a handler struct from services: every field is a `Service<..>`.
///
/// ```text
/// #[derive(FromServices)]
/// pub struct SearchIndexer {
///     index: Service<dyn SearchIndex>,
/// }
/// ```
///
/// For structs of any shape. All fields are asked for before the first missing one is reported, so that start-up lists
/// all of them. `#[from_services(crate = path)]` names the path of `domain_events`, where it has another name. For a
/// field with a value of its own, implement `FromServices` by hand.
#[proc_macro_derive(FromServices, attributes(from_services))]
pub fn derive_from_services(input: TokenStream) -> TokenStream {
    services::derive(input.into()).into()
}

/// Names a registered handler, for explicit registration: `builder.handler(handler!(cards::notify_followers))`, or
/// `handler!(SearchIndexer)` for a handler struct. It is a `&'static HandlerDef`.
///
/// Write the path through the module that defines the handler: a `use` of the function does not bring what this names.
#[proc_macro]
pub fn handler(input: TokenStream) -> TokenStream {
    handler::reference(input.into()).into()
}
