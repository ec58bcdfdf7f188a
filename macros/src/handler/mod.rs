//! `#[event_handler(..)]`: what was written -> what is wrong with it -> the link-time registration.

mod attribute;
mod check;
mod expand;
mod item;
mod parameters;
mod stacked;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::Path;

use crate::{
    errors::{both, collect},
    fallback,
    paths::Private,
    syntax,
};
use attribute::Attribute;
use item::Item;

/// The item as written, followed by its registration, or by its errors.
pub(crate) fn expand(args: TokenStream, input: TokenStream) -> TokenStream {
    let ((attribute, item), misspelled) =
        collect(|errors| (Attribute::parse(args, errors), errors.keep(syn::parse2::<Item>(input.clone()))));
    let mut input = input;
    let (handler, mistaken) = collect(|errors| {
        let item = item.as_ref()?;
        if stacked::refuse(&attribute, item, errors) {
            input = stacked::strip(input.clone());
            return None;
        }
        check::check(&attribute, item, errors)
    });
    let p = &attribute.private;
    let (definition, errors) = match (handler, both(misspelled, mistaken)) {
        (Some(handler), Ok(())) => (expand::definition(&attribute, &handler), None),
        (_, errors) => (fallback::handler(p), errors.err().map(syn::Error::into_compile_error)),
    };
    let constant = item.as_ref().and_then(|item| expand::constant(p, item, &definition));
    quote!(#input #errors #constant)
}

/// `handler!(path::to::notify)`: the constant beside the handler.
pub(crate) fn reference(input: TokenStream) -> TokenStream {
    match syn::parse2::<Path>(input) {
        Ok(mut path) => {
            if let Some(last) = path.segments.last_mut() {
                last.ident = expand::constant_name(&last.ident);
            }
            path.into_token_stream()
        }
        Err(error) => {
            let message = "which handler? write the path of its function or type: `handler!(cards::notify)`";
            syn::Error::new(error.span(), message).into_compile_error()
        }
    }
}

/// The name by which messages call an event.
fn event_name(event: &Path) -> String {
    syntax::last_name(event)
}

/// `::domain_events::__private` as every expansion of this attribute spells it.
type P<'a> = &'a Private;
