//! The one door from generated code to the runtime: the only place that spells `::domain_events::__private`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::Path;

/// `::domain_events::__private`, or the same in the crate that `crate = ..` names.
#[derive(Clone)]
pub(crate) struct Private(TokenStream);

impl Private {
    pub(crate) fn new(krate: Option<&Path>) -> Self {
        match krate {
            Some(krate) => Self(quote!(#krate::__private)),
            None => Self(quote!(::domain_events::__private)),
        }
    }

    /// For attributes that want a path in a string.
    pub(crate) fn text(&self) -> String {
        self.0.to_string().replace(' ', "")
    }

    /// The same path, blamed on `span`.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        respan(self.0.clone(), span)
    }
}

impl ToTokens for Private {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.0.clone());
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
