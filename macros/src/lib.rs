//! The macros of `domain-events`. Use them through that crate, which re-exports them.

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

/// derive
#[proc_macro_derive(DomainEvent, attributes(event, serde))]
pub fn derive_domain_event(input: TokenStream) -> TokenStream {
    event::derive(input.into()).into()
}

/// derive
#[proc_macro_derive(FromServices, attributes(from_services))]
pub fn derive_from_services(input: TokenStream) -> TokenStream {
    services::derive(input.into()).into()
}

/// attr
#[proc_macro_attribute]
pub fn aggregate_root(args: TokenStream, item: TokenStream) -> TokenStream {
    aggregate::expand(args.into(), item.into()).into()
}

/// attr
#[proc_macro_attribute]
pub fn event_handler(args: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(args.into(), item.into()).into()
}

/// handler
#[proc_macro]
pub fn handler(input: TokenStream) -> TokenStream {
    handler::reference(input.into()).into()
}
