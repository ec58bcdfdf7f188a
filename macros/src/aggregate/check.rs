//! What is wrong with it: one short function per rule.

use syn::{Error, Fields, Item, spanned::Spanned as _};

use super::parse::{AggregateField, Written};
use crate::{errors::Errors, syntax};

/// An aggregate root without a mistake.
pub(crate) struct Aggregate<'a> {
    pub(crate) id: &'a AggregateField<'a>,
    pub(crate) version: Option<&'a AggregateField<'a>>,
    pub(crate) pending: &'a AggregateField<'a>,
}

pub(crate) fn check<'a>(written: &'a Written<'a>, errors: &mut Errors) -> Option<Aggregate<'a>> {
    is_not_generic(written, errors);
    if !has_named_fields(written, errors) {
        return None;
    }
    let id = has_one_id(written, errors);
    let version = has_at_most_one_version(written, errors);
    let pending = has_one_pending_events(written, errors);
    for field in [id, version, pending].into_iter().flatten() {
        syntax::refuse_cfg(errors, &field.field.attrs, "a field that `#[aggregate_root]` uses");
    }
    Some(Aggregate { id: id?, version, pending: pending? })
}

/// The mistake of an attribute on something else.
pub(crate) fn not_a_struct(item: &Item) -> Error {
    let message = "an aggregate root is a struct with named fields";
    match item {
        Item::Enum(item) => Error::new_spanned(item.enum_token, message),
        Item::Union(item) => Error::new_spanned(item.union_token, message),
        Item::Trait(item) => Error::new_spanned(item.trait_token, message),
        Item::Impl(item) => {
            Error::new_spanned(item.impl_token, format!("{message}; put `#[aggregate_root]` on the struct itself"))
        }
        Item::Fn(item) => Error::new_spanned(item.sig.fn_token, message),
        other => Error::new(other.span(), message),
    }
}

fn is_not_generic(written: &Written<'_>, errors: &mut Errors) {
    let message = "an aggregate root can't be generic: it is registered once, as a static";
    syntax::refuse_generics(errors, &written.item.generics, message);
}

fn has_named_fields(written: &Written<'_>, errors: &mut Errors) -> bool {
    match &written.item.fields {
        Fields::Named(_) => true,
        Fields::Unnamed(fields) => {
            errors.at(fields, "an aggregate root has named fields, its `PendingEvents` among them");
            false
        }
        Fields::Unit => {
            errors.at(
                &written.item.ident,
                "an aggregate root has named fields: its id, marked `#[aggregate(id)]`, and `events: PendingEvents`",
            );
            false
        }
    }
}

fn has_one_id<'a>(written: &'a Written<'a>, errors: &mut Errors) -> Option<&'a AggregateField<'a>> {
    let mut marked = written.fields.iter().filter(|field| field.id.is_some());
    let first = marked.next();
    for second in marked {
        errors.at(
            &second.id,
            format!("an aggregate has one id, and `{}` is it already", first.map(name).unwrap_or_default()),
        );
    }
    if first.is_none() && !written.fields.iter().any(|field| field.is_unclear) {
        let likely = written.fields.iter().map(name).find(|name| name == "id" || name.ends_with("_id"));
        let message = match likely {
            Some(likely) => format!("which field is the id? mark it, `{likely}` perhaps: `#[aggregate(id)]`"),
            None => "which field is the id? mark it: `#[aggregate(id)]`".to_owned(),
        };
        errors.at(&written.item.ident, message);
    }
    first
}

fn has_at_most_one_version<'a>(written: &'a Written<'a>, errors: &mut Errors) -> Option<&'a AggregateField<'a>> {
    let mut marked = written.fields.iter().filter(|field| field.version.is_some());
    let first = marked.next();
    for second in marked {
        let first = first.map(name).unwrap_or_default();
        errors.at(&second.version, format!("an aggregate has one version, and `{first}` is it already"));
    }
    first
}

fn has_one_pending_events<'a>(written: &'a Written<'a>, errors: &mut Errors) -> Option<&'a AggregateField<'a>> {
    let mut pending = written.fields.iter().filter(|field| field.is_pending);
    let first = pending.next();
    for second in pending {
        let first = first.map(name).unwrap_or_default();
        errors.at(&second.field.ty, format!("an aggregate has one `PendingEvents`, and it is `{first}` already"));
    }
    if first.is_none() {
        errors.at(
            &written.item.ident,
            "an aggregate root keeps what it raised until it is committed: add the field `events: PendingEvents,`",
        );
    }
    first
}

fn name(field: &AggregateField<'_>) -> String {
    field.field.ident.as_ref().map(syntax::name).unwrap_or_default()
}
