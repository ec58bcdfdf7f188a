//! The one door from generated code to the runtime: the only place that spells `::domain_events::__private`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Path;

/// `__p`, the name of the runtime's private module within a block that begins with [`Private::import`].
#[derive(Clone)]
pub(crate) struct Private {
    path: TokenStream,
}

impl Private {
    /// `krate` is what `crate = ..` names, if not `::domain_events`.
    pub(crate) fn new(krate: Option<&Path>) -> Self {
        match krate {
            Some(krate) => Self { path: quote!(#krate::__private) },
            None => Self { path: quote!(::domain_events::__private) },
        }
    }

    /// The module's full path, for code outside of such a block.
    pub(crate) fn path(&self) -> &TokenStream {
        &self.path
    }

    /// Gives the module its short name: an expansion is read by people too.
    pub(crate) fn import(&self) -> TokenStream {
        let path = &self.path;
        quote!(use #path as __p;)
    }

    /// The same, and the traits in scope that choose by method resolution.
    pub(crate) fn import_with_traits(&self) -> TokenStream {
        let path = &self.path;
        quote! {
            #[allow(unused_imports)]
            use #path::{self as __p, autoref::*};
        }
    }
}

impl ToTokens for Private {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(quote!(__p));
    }
}

/// The same tokens, all blamed on `span`.
pub(crate) fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            if let TokenTree::Group(group) = &token {
                let inner = respan(group.stream(), span);
                token = TokenTree::Group(proc_macro2::Group::new(group.delimiter(), inner));
            }
            token.set_span(span);
            token
        })
        .collect()
}
