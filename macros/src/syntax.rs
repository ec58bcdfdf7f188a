//! Small questions about what was written, shared by all three macros.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Generics, Path, PathSegment, Type, ext::IdentExt as _};

use crate::errors::Errors;

/// The type without the invisible groups and parentheses around it.
pub(crate) fn bare(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            _ => return ty,
        }
    }
}

/// The last segment of a type that is a path.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// The last name of a path, as text without `r#`; empty for a path without segments, which can't be written.
pub(crate) fn last_name(path: &Path) -> String {
    path.segments.last().map(|segment| name(&segment.ident)).unwrap_or_default()
}

/// An identifier as text without `r#`.
pub(crate) fn name(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The type as a person writes it: rustc's own spelling of tokens, without the spaces it puts in between.
pub(crate) fn text(tokens: impl ToTokens) -> String {
    let mut text = String::new();
    for token in tokens.to_token_stream() {
        let token = match &token {
            TokenTree::Group(group) if group.delimiter() == proc_macro2::Delimiter::None => self::text(group.stream()),
            _ => token.to_string(),
        };
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        if (word(text.chars().last()) && word(token.chars().next())) || text.ends_with(',') || text.ends_with('+') {
            text.push(' ');
        }
        text.push_str(&token);
    }
    text
}

/// The tokens with `Self` spelled out: generated code stands outside of the item.
pub(crate) fn without_self(tokens: impl ToTokens, this: &TokenStream) -> TokenStream {
    let tokens = tokens.to_token_stream().into_iter();
    tokens
        .flat_map(|token| match token {
            TokenTree::Ident(ident) if ident == "Self" => this.clone(),
            TokenTree::Group(group) => {
                let mut same = proc_macro2::Group::new(group.delimiter(), without_self(group.stream(), this));
                same.set_span(group.span());
                TokenTree::Group(same).into()
            }
            token => token.into(),
        })
        .collect()
}

/// The `#[cfg(..)]` and `#[cfg_attr(..)]` attributes.
pub(crate) fn cfgs(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr"))
}

/// A `#[cfg]` where the macro would have to know whether it holds.
pub(crate) fn refuse_cfg(errors: &mut Errors, attrs: &[Attribute], what: &str) {
    for attr in cfgs(attrs) {
        errors.at(attr, format!("`#[cfg]` on {what} is not supported: the macro can't see whether it holds"));
    }
}

/// Generics, where-clause included, on something that is registered once.
pub(crate) fn refuse_generics(errors: &mut Errors, generics: &Generics, message: &str) {
    if !generics.params.is_empty() {
        errors.at(generics, message);
    } else if let Some(clause) = &generics.where_clause {
        errors.at(clause, message);
    }
}
