//! What stands in an attribute's parentheses: `name`, `name = value` or `name(value, ..)`, in any order.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Expr, ExprLit, Lit, LitStr, Path, Result, Token, UnOp,
    ext::IdentExt as _,
    parenthesized,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
};

use crate::{errors::Errors, suggest};

/// What a store keeps of a name.
const MAX_BYTES: usize = 255;

/// One option as written.
pub(crate) struct Entry {
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    /// `name`
    Bare,
    /// `name = value`
    One(Expr),
    /// `name(value, ..)`
    List(Punctuated<Expr, Token![,]>),
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = Ident::parse_any(input)
            .map_err(|error| syn::Error::new(error.span(), "expected an option: `name` or `name = value`"))?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            if input.is_empty() || input.peek(Token![,]) {
                return Err(syn::Error::new(name.span(), format!("`{name}` needs a value: `{name} = ..`")));
            }
            Value::One(input.parse()?)
        } else if input.peek(syn::token::Paren) {
            let content;
            parenthesized!(content in input);
            Value::List(Punctuated::parse_terminated(&content)?)
        } else {
            Value::Bare
        };
        Ok(Self { name, value })
    }
}

impl Entry {
    /// The one value of `name = value`.
    pub(crate) fn one(&self, errors: &mut Errors, example: &str) -> Option<&Expr> {
        match &self.value {
            Value::One(value) => Some(ungrouped(value)),
            _ => {
                errors.at(&self.name, format!("`{}` needs a value: `{example}`", self.name));
                None
            }
        }
    }

    /// A value that is a path to an item.
    pub(crate) fn path(&self, errors: &mut Errors, example: &str) -> Option<Path> {
        match self.one(errors, example)? {
            Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
            other => {
                errors.at(other, format!("expected a path: `{example}`"));
                None
            }
        }
    }

    /// A text: a literal that is not empty, or a constant.
    pub(crate) fn text(&self, errors: &mut Errors) -> Option<TokenStream> {
        let example = format!("{} = \"..\"", self.name);
        let value = self.one(errors, &example)?;
        text(errors, value, &self.name)
    }

    /// Several texts: `name("a", "b")` or `name = ["a", "b"]`.
    pub(crate) fn texts(&self, errors: &mut Errors) -> Vec<TokenStream> {
        let values: Vec<&Expr> = match &self.value {
            Value::List(values) => values.iter().map(ungrouped).collect(),
            Value::One(value) => match ungrouped(value) {
                Expr::Array(array) => array.elems.iter().map(ungrouped).collect(),
                other => {
                    errors.at(
                        other,
                        format!("expected a list: `{0}(\"..\", \"..\")`; for a single one: `alias = ..`", self.name),
                    );
                    return Vec::new();
                }
            },
            Value::Bare => {
                errors.at(&self.name, format!("`{0}` needs values: `{0}(\"..\", \"..\")`", self.name));
                return Vec::new();
            }
        };
        values.into_iter().filter_map(|value| text(errors, value, &self.name)).collect()
    }

    /// A whole number: a literal within the range, or a constant, which the runtime checks when it is compiled.
    pub(crate) fn number(&self, errors: &mut Errors, min: u64, max: u64) -> Option<TokenStream> {
        let value = self.one(errors, &format!("{} = {min}", self.name))?;
        let range = if max == u64::from(u32::MAX) { format!("{min} or more") } else { format!("from {min} to {max}") };
        let is_wrong = match value {
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => {
                !number.base10_parse::<u64>().is_ok_and(|number| (min..=max).contains(&number))
            }
            Expr::Lit(_) => true,
            Expr::Unary(unary) => matches!((&unary.op, &*unary.expr), (UnOp::Neg(_), Expr::Lit(_))),
            _ => false,
        };
        if is_wrong {
            errors.at(value, format!("`{}` is a whole number, {range}", self.name));
            return None;
        }
        Some(value.to_token_stream())
    }

    /// `name`, `name = true` or a constant.
    pub(crate) fn flag(&self, errors: &mut Errors) -> Option<TokenStream> {
        if let Value::Bare = self.value {
            return Some(quote!(true));
        }
        let value = self.one(errors, &format!("{} = true", self.name))?;
        match value {
            Expr::Lit(ExprLit { lit: Lit::Bool(_), .. }) => {}
            Expr::Lit(_) => {
                errors.at(value, format!("`{}` is `true` or `false`; `{0}` alone is `true`", self.name));
                return None;
            }
            _ => {}
        }
        Some(value.to_token_stream())
    }

    /// A text literal that `read` turns into code, or a constant. `expected` says what a literal can be.
    pub(crate) fn literal_or_const(
        &self,
        errors: &mut Errors,
        expected: &str,
        read: impl FnOnce(&str) -> std::result::Result<TokenStream, String>,
    ) -> Option<TokenStream> {
        let value = self.one(errors, &format!("{} = {expected}", self.name))?;
        match value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => match read(&text.value()) {
                Ok(code) => Some(code),
                Err(problem) => {
                    errors.at(text, format!("`{}`: {problem}", self.name));
                    None
                }
            },
            Expr::Lit(_) => {
                errors.at(value, format!("expected `{} = {expected}`, or a constant", self.name));
                None
            }
            _ => Some(value.to_token_stream()),
        }
    }
}

fn text(errors: &mut Errors, value: &Expr, name: &Ident) -> Option<TokenStream> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => check_text(errors, text, name),
        Expr::Lit(_) => {
            errors.at(value, format!("`{name}` is a text: a literal or a constant"));
            None
        }
        _ => Some(value.to_token_stream()),
    }
}

fn check_text(errors: &mut Errors, text: &LitStr, name: &Ident) -> Option<TokenStream> {
    let value = text.value();
    if value.is_empty() {
        errors.at(text, format!("`{name}` can't be empty"));
        return None;
    }
    if value.len() > MAX_BYTES {
        errors.at(text, format!("`{name}` has at most {MAX_BYTES} bytes, and this has {}", value.len()));
        return None;
    }
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        errors.at(text, format!("`{name}` can't hold spaces or control characters: it is a key in the log"));
        return None;
    }
    Some(text.to_token_stream())
}

/// The expression without the invisible groups that `macro_rules!` puts around a `$value:expr`.
fn ungrouped(mut value: &Expr) -> &Expr {
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    value
}

/// Whether one of the names is a misspelling of `meant`, so that `meant` is not missing.
pub(crate) fn misspells(entries: &[Entry], known: &[&str], meant: &str) -> bool {
    entries.iter().any(|entry| suggest::nearest(&entry.name.to_string(), known) == Some(meant))
}

/// Tells each name that is not known, and each that stands there twice.
pub(crate) fn check_names(errors: &mut Errors, entries: &[Entry], known: &[&str], attribute: &str) {
    for (index, entry) in entries.iter().enumerate() {
        let name = entry.name.to_string();
        if !known.contains(&name.as_str()) {
            unknown(errors, entry.name.span(), &name, known, attribute);
        } else if entries.iter().take(index).any(|earlier| earlier.name == entry.name) {
            errors.at(&entry.name, format!("`{name}` is given twice"));
        }
    }
}

fn unknown(errors: &mut Errors, span: Span, name: &str, known: &[&str], attribute: &str) {
    let help = match suggest::nearest(name, known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("there are {}", known.join(", "))
        }
    };
    errors.push(syn::Error::new(span, format!("{attribute} has no option `{name}`; {help}")));
}
