//! One element of a link-time slice.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::paths::Private;

/// `static __DEF: <ty> = <value>`, in the slice of this name; `value` is made from where the item was declared.
pub(crate) fn element(
    p: &Private,
    slice: &str,
    ty: &TokenStream,
    value: impl FnOnce(TokenStream) -> TokenStream,
) -> TokenStream {
    let slice = format_ident!("{slice}");
    let value = value(source(p));
    quote! {
        #[#p::linkme::distributed_slice(#p::#slice)]
        #[linkme(crate = #p::linkme)]
        static __DEF: #ty = #value;
    }
}

/// Where the annotation stands.
pub(crate) fn source(p: &Private) -> TokenStream {
    quote!(#p::source!())
}
