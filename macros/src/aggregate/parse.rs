//! What was written: the attribute's options, and the fields that are marked or are `PendingEvents`.

use proc_macro2::{Ident, TokenStream};
use syn::{Attribute, Field, ItemStruct, Token, parse::Parser as _, punctuated::Punctuated};

use crate::{
    errors::Errors,
    options::{Entry, Value, check_names},
    paths::Private,
    syntax,
};

const OPTIONS: [&str; 2] = ["name", "crate"];
const FIELD_OPTIONS: [&str; 2] = ["id", "version"];

/// An aggregate root as written.
pub(crate) struct Written<'a> {
    pub(crate) item: &'a ItemStruct,
    pub(crate) private: Private,
    pub(crate) name: Option<TokenStream>,
    pub(crate) fields: Vec<AggregateField<'a>>,
}

/// One field, and what it is for.
pub(crate) struct AggregateField<'a> {
    pub(crate) field: &'a Field,
    pub(crate) id: Option<Ident>,
    pub(crate) version: Option<Ident>,
    /// Whether it was marked as something that is not known.
    pub(crate) is_unclear: bool,
    /// Whether its type's last name is `PendingEvents`.
    pub(crate) is_pending: bool,
}

pub(crate) fn parse<'a>(args: TokenStream, item: &'a ItemStruct, errors: &mut Errors) -> Written<'a> {
    let entries = errors.keep(Punctuated::<Entry, Token![,]>::parse_terminated.parse2(args));
    let entries: Vec<Entry> = entries.into_iter().flatten().collect();
    check_names(errors, &entries, &OPTIONS, "`#[aggregate_root]`");
    let mut written = Written { item, private: Private::new(None), name: None, fields: Vec::new() };
    for entry in &entries {
        if entry.name == "name" {
            written.name = entry.text(errors);
        } else if entry.name == "crate" {
            written.private = Private::new(entry.path(errors, "crate = my_crate::domain_events").as_ref());
        }
    }
    written.fields = item.fields.iter().map(|field| aggregate_field(field, errors)).collect();
    written
}

fn aggregate_field<'a>(field: &'a Field, errors: &mut Errors) -> AggregateField<'a> {
    let attrs = field.attrs.iter().filter(|attr| is_ours(attr));
    let parsed: Vec<_> =
        attrs.map(|attr| errors.keep(attr.parse_args_with(Punctuated::<Entry, Token![,]>::parse_terminated))).collect();
    let is_read = parsed.iter().all(Option::is_some);
    let entries: Vec<Entry> = parsed.into_iter().flatten().flatten().collect();
    check_names(errors, &entries, &FIELD_OPTIONS, "`#[aggregate(..)]`");
    for entry in entries.iter().filter(|entry| !matches!(entry.value, Value::Bare)) {
        if FIELD_OPTIONS.contains(&entry.name.to_string().as_str()) {
            errors.at(&entry.name, format!("`{0}` takes no value: `#[aggregate({0})]`", entry.name));
        }
    }
    let marked = |name: &str| entries.iter().find(|entry| entry.name == name).map(|entry| entry.name.clone());
    AggregateField {
        field,
        id: marked("id"),
        version: marked("version"),
        is_unclear: !is_read || entries.iter().any(|entry| !FIELD_OPTIONS.contains(&entry.name.to_string().as_str())),
        is_pending: syntax::last_segment(&field.ty).is_some_and(|segment| segment.ident == "PendingEvents"),
    }
}

fn is_ours(attr: &Attribute) -> bool {
    attr.path().is_ident("aggregate")
}

/// The struct as its other attributes and the compiler may see it: without `#[aggregate(..)]`.
pub(crate) fn stripped(item: &ItemStruct) -> ItemStruct {
    let mut item = item.clone();
    for field in &mut item.fields {
        field.attrs.retain(|attr| !is_ours(attr));
    }
    item
}
