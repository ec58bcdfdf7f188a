//! `#[derive(DomainEvent)]`: what was written -> what is wrong with it -> the impl.

mod check;
mod expand;
mod mirror;
mod parse;
mod serde;

use proc_macro2::TokenStream;
use syn::DeriveInput;

pub(crate) use self::{expand::construct, parse::Written};
use crate::{
    errors::{both, collect},
    fallback,
};

/// The impls of one event, or its errors beside stubs of these impls.
pub(crate) fn derive(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let (written, misspelled) = collect(|errors| parse::parse(&input, errors));
    let (checked, mistaken) = collect(|errors| check::check(&written, errors));
    match (checked, both(misspelled, mistaken)) {
        (Some(event), Ok(())) => expand::expand(&written, &event),
        (_, Ok(())) => TokenStream::new(),
        (_, Err(errors)) => fallback::event(&written, errors),
    }
}
