//! The `#[serde(..)]` attributes of an event: carried over to its mirror, except for what a mirror can't honour.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Attribute, Meta, Token, punctuated::Punctuated};

use crate::errors::Errors;

/// On the struct or enum.
#[derive(Default)]
pub(crate) struct ContainerSerde {
    /// What the mirror gets.
    pub(crate) carried: Vec<Meta>,
    /// Whether the type is renamed, for at least one side.
    pub(crate) renamed: bool,
    /// What only the event's own `Serialize` can honour.
    pub(crate) own_serialize: Option<TokenStream>,
    /// What only the event's own `Deserialize` can honour.
    pub(crate) own_deserialize: Option<TokenStream>,
}

/// On a field or a variant.
#[derive(Default)]
pub(crate) struct FieldSerde {
    pub(crate) carried: Vec<Meta>,
    /// It is written by a function of the user's, or not at all: its type needs no `Serialize`.
    pub(crate) not_serialized: bool,
    /// The same for reading.
    pub(crate) not_deserialized: bool,
}

pub(crate) fn container(attrs: &[Attribute], errors: &mut Errors) -> ContainerSerde {
    let mut serde = ContainerSerde::default();
    for meta in metas(attrs, errors) {
        let blamed = || Some(meta.to_token_stream());
        match name(&meta).as_str() {
            "into" => serde.own_serialize = blamed(),
            "from" | "try_from" => serde.own_deserialize = blamed(),
            "remote" | "bound" => (serde.own_serialize, serde.own_deserialize) = (blamed(), blamed()),
            // The mirror names serde through this crate.
            "crate" => {}
            other => {
                serde.renamed |= other == "rename";
                serde.carried.push(meta);
            }
        }
    }
    serde
}

pub(crate) fn field(attrs: &[Attribute], errors: &mut Errors) -> FieldSerde {
    let carried = metas(attrs, errors);
    let has = |names: &[&str]| carried.iter().any(|meta| names.contains(&name(meta).as_str()));
    FieldSerde {
        not_serialized: has(&["skip", "skip_serializing", "serialize_with", "with"]),
        not_deserialized: has(&["skip", "skip_deserializing", "deserialize_with", "with"]),
        carried,
    }
}

fn metas(attrs: &[Attribute], errors: &mut Errors) -> Vec<Meta> {
    let attrs = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    attrs
        .filter_map(|attr| errors.keep(attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)))
        .flatten()
        .collect()
}

fn name(meta: &Meta) -> String {
    meta.path().get_ident().map(ToString::to_string).unwrap_or_default()
}
