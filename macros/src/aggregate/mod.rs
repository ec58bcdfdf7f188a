//! `#[aggregate_root]`: what was written -> what is wrong with it -> the impls.

mod check;
mod expand;
mod parse;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Item;

pub(crate) use self::parse::Written;
use crate::{
    errors::{both, collect},
    fallback,
};

/// The struct without our helper attributes, followed by its impls, or by its errors beside stubs of these impls.
pub(crate) fn expand(args: TokenStream, input: TokenStream) -> TokenStream {
    let item = match syn::parse2(input.clone()) {
        Ok(Item::Struct(item)) => item,
        Ok(other) => {
            let error = check::not_a_struct(&other).into_compile_error();
            return quote!(#input #error);
        }
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#input #error);
        }
    };
    let (written, misspelled) = collect(|errors| parse::parse(args, &item, errors));
    let (checked, mistaken) = collect(|errors| check::check(&written, errors));
    let stripped = parse::stripped(&item);
    let impls = match (checked, both(misspelled, mistaken)) {
        (Some(aggregate), Ok(())) => expand::expand(&written, &aggregate),
        (_, Ok(())) => TokenStream::new(),
        (_, Err(errors)) => fallback::aggregate(&written, errors),
    };
    quote!(#stripped #impls)
}
