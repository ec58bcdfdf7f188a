//! The macros of `domain-events`.
use proc_macro::TokenStream;

/// derive
#[proc_macro_derive(DomainEvent, attributes(event, serde))]
pub fn derive_domain_event(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
/// derive
#[proc_macro_derive(FromServices)]
pub fn derive_from_services(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
/// attr
#[proc_macro_attribute]
pub fn aggregate_root(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}
/// attr
#[proc_macro_attribute]
pub fn event_handler(_: TokenStream, item: TokenStream) -> TokenStream {
    item
}
/// handler
#[proc_macro]
pub fn handler(item: TokenStream) -> TokenStream {
    item
}
