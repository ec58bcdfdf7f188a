//! What is wrong with it: one short function per rule.

use syn::{Data, Path};

use super::parse::{EventField, Shape, Written};
use crate::{errors::Errors, syntax};

/// An event without a mistake.
pub(crate) struct Event<'a> {
    pub(crate) aggregate: &'a Path,
    pub(crate) shapes: Vec<CheckedShape<'a>>,
}

/// The fields of a struct or of one variant, the marked ones named.
pub(crate) struct CheckedShape<'a> {
    pub(crate) shape: &'a Shape<'a>,
    pub(crate) aggregate_id: &'a EventField<'a>,
    pub(crate) occurred_at: Option<&'a EventField<'a>>,
}

pub(crate) fn check<'a>(written: &'a Written<'a>, errors: &mut Errors) -> Option<Event<'a>> {
    names_its_aggregate(written, errors);
    is_not_generic(written, errors);
    is_a_struct_or_an_enum(written, errors);
    has_a_variant(written, errors);
    let shapes: Vec<_> = written.shapes.iter().map(|shape| check_shape(written, shape, errors)).collect();
    all_variants_tell_the_time_or_none(written, errors);
    Some(Event { aggregate: written.aggregate.as_ref()?, shapes: shapes.into_iter().collect::<Option<_>>()? })
}

fn check_shape<'a>(written: &Written<'_>, shape: &'a Shape<'a>, errors: &mut Errors) -> Option<CheckedShape<'a>> {
    let aggregate_id = has_one_aggregate_id(written, shape, errors);
    let occurred_at = has_at_most_one_time(shape, errors);
    no_field_is_both(shape, errors);
    Some(CheckedShape { shape, aggregate_id: aggregate_id?, occurred_at })
}

fn names_its_aggregate(written: &Written<'_>, errors: &mut Errors) {
    if !written.names_aggregate {
        let ident = &written.input.ident;
        errors.at(ident, format!("which aggregate raises `{ident}`? add `#[event(aggregate = SomeAggregate)]`"));
    }
}

fn is_not_generic(written: &Written<'_>, errors: &mut Errors) {
    let message = "an event can't be generic: it is registered once, as a static";
    syntax::refuse_generics(errors, &written.input.generics, message);
}

fn is_a_struct_or_an_enum(written: &Written<'_>, errors: &mut Errors) {
    if let Data::Union(union) = &written.input.data {
        errors.at(union.union_token, "an event is a struct or an enum");
    }
}

fn has_a_variant(written: &Written<'_>, errors: &mut Errors) {
    if written.is_enum() && written.shapes.is_empty() {
        errors.at(&written.input.ident, "an event that is an enum has at least one variant");
    }
}

fn has_one_aggregate_id<'a>(
    written: &Written<'_>,
    shape: &'a Shape<'a>,
    errors: &mut Errors,
) -> Option<&'a EventField<'a>> {
    let mut marked = shape.parsed.iter().filter(|field| field.aggregate_id.is_some());
    let first = marked.next();
    for second in marked {
        let first = first.map(name).unwrap_or_default();
        errors.at(&second.aggregate_id, format!("an event happened to one aggregate, and `{first}` is its id already"));
    }
    if first.is_none() && !shape.parsed.iter().any(|field| field.is_unclear) {
        let place = shape.variant.map_or(&written.input.ident, |variant| &variant.ident);
        errors.at(place, missing_id(shape));
    }
    first
}

fn missing_id(shape: &Shape<'_>) -> String {
    let what = if shape.variant.is_some() { "variant" } else { "event" };
    if shape.parsed.is_empty() {
        return format!("this {what} names no aggregate: add a field for its id, marked `#[event(aggregate_id)]`");
    }
    let likely = shape.parsed.iter().map(name).find(|name| name.ends_with("id"));
    match likely {
        Some(likely) => {
            format!("which field is the aggregate's id? mark it, `{likely}` perhaps: `#[event(aggregate_id)]`")
        }
        None => "which field is the aggregate's id? mark it: `#[event(aggregate_id)]`".to_owned(),
    }
}

fn has_at_most_one_time<'a>(shape: &'a Shape<'a>, errors: &mut Errors) -> Option<&'a EventField<'a>> {
    let mut marked = shape.parsed.iter().filter(|field| field.occurred_at.is_some());
    let first = marked.next();
    for second in marked {
        let first = first.map(name).unwrap_or_default();
        errors.at(&second.occurred_at, format!("an event occurred once, and `{first}` says when already"));
    }
    first
}

fn no_field_is_both(shape: &Shape<'_>, errors: &mut Errors) {
    for field in &shape.parsed {
        if let (Some(_), Some(time)) = (&field.aggregate_id, &field.occurred_at) {
            errors.at(time, "a field is the aggregate's id or the time of the event, not both");
        }
    }
}

fn all_variants_tell_the_time_or_none(written: &Written<'_>, errors: &mut Errors) {
    let tells = |shape: &&Shape<'_>| shape.parsed.iter().any(|field| field.occurred_at.is_some());
    if !written.shapes.iter().any(|shape| tells(&shape)) {
        return;
    }
    for shape in written.shapes.iter().filter(|shape| !tells(shape)) {
        if let Some(variant) = shape.variant {
            errors.at(
                &variant.ident,
                format!(
                    "mark a field of `{}` with `#[event(occurred_at)]` too: all variants say when, or none",
                    variant.ident
                ),
            );
        }
    }
}

/// The field's name, or its number in a tuple.
fn name(field: &EventField<'_>) -> String {
    match &field.member {
        syn::Member::Named(ident) => syntax::name(ident),
        syn::Member::Unnamed(index) => index.index.to_string(),
    }
}
