//! What was written: the attributes of an event and of its fields, and where they stand.

use proc_macro2::{Ident, TokenStream};
use syn::{Attribute, Data, DeriveInput, Field, Fields, Index, Member, Path, Token, Variant, punctuated::Punctuated};

use super::serde::{self, ContainerSerde, FieldSerde};
use crate::{
    errors::Errors,
    options::{Entry, Value, check_names, misspells},
    paths::Private,
};

const OPTIONS: [&str; 6] = ["aggregate", "name", "version", "alias", "aliases", "crate"];
const FIELD_OPTIONS: [&str; 2] = ["aggregate_id", "occurred_at"];

/// An event as written.
pub(crate) struct Written<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) private: Private,
    pub(crate) aggregate: Option<Path>,
    /// Whether the attribute says anything about an aggregate, right or wrong.
    pub(crate) names_aggregate: bool,
    pub(crate) name: Option<TokenStream>,
    pub(crate) version: Option<TokenStream>,
    pub(crate) aliases: Vec<TokenStream>,
    pub(crate) serde: ContainerSerde,
    /// One for a struct, one per variant for an enum.
    pub(crate) shapes: Vec<Shape<'a>>,
}

/// The fields of a struct or of one variant.
pub(crate) struct Shape<'a> {
    pub(crate) variant: Option<&'a Variant>,
    pub(crate) fields: &'a Fields,
    pub(crate) parsed: Vec<EventField<'a>>,
    pub(crate) serde: FieldSerde,
}

/// One field, and the attributes that give it a meaning.
pub(crate) struct EventField<'a> {
    pub(crate) field: &'a Field,
    pub(crate) member: Member,
    pub(crate) aggregate_id: Option<Ident>,
    pub(crate) occurred_at: Option<Ident>,
    /// Whether it was marked as something that is not known.
    pub(crate) is_unclear: bool,
    pub(crate) serde: FieldSerde,
}

impl Written<'_> {
    pub(crate) fn is_enum(&self) -> bool {
        matches!(self.input.data, Data::Enum(_))
    }
}

pub(crate) fn parse<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Written<'a> {
    let Entries { entries, is_read } = entries(&input.attrs, errors);
    check_names(errors, &entries, &OPTIONS, "`#[event(..)]`");
    let mut written = Written {
        input,
        private: Private::new(None),
        aggregate: None,
        names_aggregate: !is_read || misspells(&entries, &OPTIONS, "aggregate"),
        name: None,
        version: None,
        aliases: Vec::new(),
        serde: serde::container(&input.attrs, errors),
        shapes: Vec::new(),
    };
    for entry in &entries {
        match entry.name.to_string().as_str() {
            "aggregate" => {
                written.names_aggregate = true;
                written.aggregate = entry.path(errors, "aggregate = Card");
            }
            "name" => written.name = entry.text(errors),
            "version" => written.version = entry.number(errors, 1, u64::from(u32::MAX)),
            "alias" => written.aliases.extend(entry.text(errors)),
            "aliases" => written.aliases.extend(entry.texts(errors)),
            "crate" => written.private = Private::new(entry.path(errors, "crate = my_crate::domain_events").as_ref()),
            _ => {}
        }
    }
    written.shapes = shapes(input, errors);
    written
}

fn shapes<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Vec<Shape<'a>> {
    match &input.data {
        Data::Struct(data) => vec![shape(None, &data.fields, errors)],
        Data::Enum(data) => data.variants.iter().map(|variant| shape(Some(variant), &variant.fields, errors)).collect(),
        Data::Union(_) => Vec::new(),
    }
}

fn shape<'a>(variant: Option<&'a Variant>, fields: &'a Fields, errors: &mut Errors) -> Shape<'a> {
    if let Some(attr) = variant.and_then(|variant| variant.attrs.iter().find(|attr| attr.path().is_ident("event"))) {
        errors.at(attr, "`#[event(..)]` goes on the enum or on a field, not on a variant");
    }
    let serde = variant.map(|variant| serde::field(&variant.attrs, errors)).unwrap_or_default();
    let parsed = fields.iter().enumerate().map(|(index, field)| event_field(index, field, errors)).collect();
    Shape { variant, fields, parsed, serde }
}

fn event_field<'a>(index: usize, field: &'a Field, errors: &mut Errors) -> EventField<'a> {
    let Entries { entries, is_read } = entries(&field.attrs, errors);
    check_names(errors, &entries, &FIELD_OPTIONS, "`#[event(..)]` on a field");
    for entry in entries.iter().filter(|entry| !matches!(entry.value, Value::Bare)) {
        if FIELD_OPTIONS.contains(&entry.name.to_string().as_str()) {
            errors.at(&entry.name, format!("`{0}` takes no value: `#[event({0})]`", entry.name));
        }
    }
    let marked = |name: &str| entries.iter().find(|entry| entry.name == name).map(|entry| entry.name.clone());
    EventField {
        field,
        member: field.ident.clone().map_or_else(|| Member::Unnamed(Index::from(index)), Member::Named),
        aggregate_id: marked("aggregate_id"),
        occurred_at: marked("occurred_at"),
        is_unclear: !is_read || entries.iter().any(|entry| !FIELD_OPTIONS.contains(&entry.name.to_string().as_str())),
        serde: serde::field(&field.attrs, errors),
    }
}

/// Everything in the `#[event(..)]` attributes of one place.
struct Entries {
    entries: Vec<Entry>,
    /// Whether all of it could be read.
    is_read: bool,
}

fn entries(attrs: &[Attribute], errors: &mut Errors) -> Entries {
    let attrs = attrs.iter().filter(|attr| attr.path().is_ident("event"));
    let parsed: Vec<_> =
        attrs.map(|attr| errors.keep(attr.parse_args_with(Punctuated::<Entry, Token![,]>::parse_terminated))).collect();
    Entries { is_read: parsed.iter().all(Option::is_some), entries: parsed.into_iter().flatten().flatten().collect() }
}
