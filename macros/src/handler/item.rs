//! What the attribute stands on: the signatures only. A body is never parsed, so a half-typed one costs no message of
//! ours, and callers of the handler still resolve.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Generics, Path, Result, Signature, Token, Type, Visibility, braced,
    parse::{Parse, ParseStream},
    token::{self, Brace},
};

pub(crate) enum Item {
    Fn(Function),
    Impl(ImplBlock),
    /// Anything else: its keyword.
    Other(TokenTree),
}

/// A function or a method, without its body.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
}

pub(crate) struct ImplBlock {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) generics: Generics,
    pub(crate) of_trait: Option<Path>,
    pub(crate) self_ty: Type,
    pub(crate) brace: Brace,
    pub(crate) methods: Vec<Function>,
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        let ahead = input.fork();
        ahead.parse::<Option<Token![unsafe]>>()?;
        if ahead.peek(Token![impl]) {
            return impl_block(attrs, input).map(Self::Impl);
        }
        if starts_a_function(input) {
            let sig = input.parse()?;
            input.parse::<TokenStream>()?;
            return Ok(Self::Fn(Function { attrs, vis, sig }));
        }
        let keyword = input.parse()?;
        input.parse::<TokenStream>()?;
        Ok(Self::Other(keyword))
    }
}

/// Whether `fn` follows, after `const`, `async`, `unsafe` and `extern "C"` or none of them.
fn starts_a_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    loop {
        if ahead.peek(Token![fn]) {
            return true;
        }
        let qualifier = ahead.peek(Token![const])
            || ahead.peek(Token![async])
            || ahead.peek(Token![unsafe])
            || ahead.peek(Token![extern])
            || ahead.peek(syn::LitStr);
        if !qualifier || ahead.parse::<TokenTree>().is_err() {
            return false;
        }
    }
}

fn impl_block(attrs: Vec<Attribute>, input: ParseStream<'_>) -> Result<ImplBlock> {
    input.parse::<Option<Token![unsafe]>>()?;
    input.parse::<Token![impl]>()?;
    let mut generics =
        if input.peek(Token![<]) && !input.peek2(Token![<]) { input.parse()? } else { Generics::default() };
    input.parse::<Option<Token![!]>>()?;
    let first: Type = input.parse()?;
    let (of_trait, self_ty) = match input.parse::<Option<Token![for]>>()? {
        Some(_) => (trait_path(first)?, input.parse()?),
        None => (None, first),
    };
    generics.where_clause = input.parse()?;
    let content;
    let brace = braced!(content in input);
    content.call(Attribute::parse_inner)?;
    let mut methods = Vec::new();
    while !content.is_empty() {
        methods.extend(method(&content)?);
    }
    Ok(ImplBlock { attrs, generics, of_trait, self_ty, brace, methods })
}

fn trait_path(ty: Type) -> Result<Option<Path>> {
    match ty {
        Type::Path(path) => Ok(Some(path.path)),
        other => Err(syn::Error::new_spanned(other, "expected a trait")),
    }
}

/// The next item of an impl block, if it is a method; its body is skipped, unread.
fn method(input: ParseStream<'_>) -> Result<Option<Function>> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis: Visibility = input.parse()?;
    let sig = if starts_a_function(input) { Some(input.parse()?) } else { None };
    while !input.is_empty() {
        let ends = input.peek(Token![;]) || input.peek(token::Brace);
        input.parse::<TokenTree>()?;
        if ends {
            break;
        }
    }
    Ok(sig.map(|sig| Function { attrs, vis, sig }))
}
