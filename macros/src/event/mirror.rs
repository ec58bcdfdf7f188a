//! The hidden twin of an event that serde derives on: so `#[derive(DomainEvent)]` is all that an event needs.
//!
//! It is written through `#[serde(remote = "..")]`, with the event's own `#[serde(..)]` attributes. Its bounds stand
//! behind a `for<'__x>`, which keeps rustc from refusing them while nobody uses the mirror: an event with an own
//! `Serialize` may have fields without one.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::{Fields, Meta, Type, spanned::Spanned as _};

use super::parse::{EventField, Shape, Written};
use crate::{
    paths::{Private, respan},
    syntax,
};

/// Which sides the mirror has, and the field types each of them needs.
pub(crate) struct Mirror {
    serialize: bool,
    deserialize: bool,
    fields: Vec<FieldType>,
}

struct FieldType {
    ty: TokenStream,
    serialize: bool,
    deserialize: bool,
}

impl Mirror {
    pub(crate) fn of(written: &Written<'_>) -> Self {
        Self {
            serialize: written.serde.own_serialize.is_none(),
            deserialize: written.serde.own_deserialize.is_none() && borrowed(written).is_none(),
            fields: field_types(written),
        }
    }

    /// The mirror, what wraps it for one side each, and the check of the fields.
    pub(crate) fn items(&self, written: &Written<'_>) -> TokenStream {
        let (mirror, write, read) = (self.mirror(written), self.write(written), self.read(written));
        let checks = self.checks(written);
        quote!(#mirror #write #read #checks)
    }

    fn mirror(&self, written: &Written<'_>) -> Option<TokenStream> {
        let (p, ident) = (&written.private, &written.input.ident);
        let derives = [(self.serialize, quote!(Serialize)), (self.deserialize, quote!(Deserialize))];
        let derives: Vec<_> =
            derives.into_iter().filter(|(on, _)| *on).map(|(_, name)| quote!(#p::serde::#name)).collect();
        if derives.is_empty() {
            return None;
        }
        let (remote, name) = (ident.to_string(), syntax::name(ident));
        let name = (!written.serde.renamed).then(|| quote!(rename = #name,));
        let krate = quote!(#p::serde).to_string().replace(' ', "");
        let bounds = [
            self.serialize.then(|| self.bounds_text("serialize", |p| self.serialize_bounds(p), p)),
            self.deserialize.then(|| self.bounds_text("deserialize", |p| self.deserialize_bounds(p), p)),
        ];
        let bounds = bounds.iter().flatten();
        let carried = &written.serde.carried;
        let body = self.body(written);
        Some(quote! {
            #[derive(#(#derives),*)]
            #[serde(remote = #remote, #name crate = #krate, bound(#(#bounds),*))]
            #(#[serde(#carried)])*
            #body
            impl #p::BrokenMirror for __Mirror {}
        })
    }

    fn body(&self, written: &Written<'_>) -> TokenStream {
        let this = written.input.ident.to_token_stream();
        if !written.is_enum() {
            let shape = written.shapes.first();
            return match shape {
                Some(Shape { fields: Fields::Named(_), parsed, .. }) => {
                    let fields = fields(parsed, &this);
                    quote!(struct __Mirror { #(#fields),* })
                }
                _ => {
                    let fields = shape.map(|shape| fields(&shape.parsed, &this)).unwrap_or_default();
                    quote!(struct __Mirror(#(#fields),*);)
                }
            };
        }
        let variants = written.shapes.iter().map(|shape| {
            let ident = shape.variant.map(|variant| &variant.ident);
            let (serde, fields) = (serde_attrs(&shape.serde.carried), fields(&shape.parsed, &this));
            match shape.fields {
                Fields::Named(_) => quote!(#serde #ident { #(#fields),* }),
                Fields::Unnamed(_) => quote!(#serde #ident(#(#fields),*)),
                Fields::Unit => quote!(#serde #ident),
            }
        });
        quote!(enum __Mirror { #(#variants),* })
    }

    fn serialize_bounds(&self, p: &Private) -> Vec<TokenStream> {
        let types = self.fields.iter().filter(|field| field.serialize).map(|field| &field.ty);
        types.map(|ty| quote!(for<'__x> #ty: #p::serde::Serialize)).collect()
    }

    fn deserialize_bounds(&self, p: &Private) -> Vec<TokenStream> {
        let types = self.fields.iter().filter(|field| field.deserialize).map(|field| &field.ty);
        types.map(|ty| quote!(for<'__x> #ty: #p::serde::Deserialize<'__x>)).collect()
    }

    fn bounds_text(&self, side: &str, bounds: impl Fn(&Private) -> Vec<TokenStream>, p: &Private) -> TokenStream {
        // `$crate` of a `macro_rules!` has no meaning in a string: such a field keeps serde's own strict check.
        let bounds: Vec<String> = bounds(p)
            .iter()
            .map(|bound| bound.to_string().replace(" :: ", "::"))
            .filter(|bound| !bound.contains('$'))
            .collect();
        let (side, bounds) = (quote::format_ident!("{side}"), Literal::string(&bounds.join(", ")));
        quote!(#side = #bounds)
    }

    fn write(&self, written: &Written<'_>) -> Option<TokenStream> {
        let (p, ident) = (&written.private, &written.input.ident);
        let bounds = self.serialize_bounds(p);
        self.serialize.then(|| {
            quote! {
                impl #p::WriteMirror<#ident> for __Mirror where #(#bounds),* {
                    fn write<__S: #p::serde::Serializer>(__event: &#ident, __to: __S) -> #p::Result<__S::Ok, __S::Error> {
                        __Mirror::serialize(__event, __to)
                    }
                }
            }
        })
    }

    fn read(&self, written: &Written<'_>) -> Option<TokenStream> {
        let (p, ident) = (&written.private, &written.input.ident);
        let bounds = self.deserialize_bounds(p);
        self.deserialize.then(|| {
            quote! {
                impl<'__de> #p::ReadMirror<'__de, #ident> for __Mirror where #(#bounds),* {
                    fn read<__D: #p::serde::Deserializer<'__de>>(__from: __D) -> #p::Result<#ident, __D::Error> {
                        __Mirror::deserialize(__from)
                    }
                }
            }
        })
    }

    /// Names the field whose type can't be stored, where the event leaves that to its mirror.
    fn checks(&self, written: &Written<'_>) -> TokenStream {
        let (p, ident) = (&written.private, &written.input.ident);
        let checks = self.fields.iter().filter_map(|field| {
            let check = match (self.serialize && field.serialize, self.deserialize && field.deserialize) {
                (true, true) => quote!(stored),
                (true, false) => quote!(written),
                (false, true) => quote!(read),
                (false, false) => return None,
            };
            let ty = &field.ty;
            Some(quote!(__own.#check::<#ty>();))
        });
        let own = [
            (&written.serde.own_serialize, quote!(serializes_itself)),
            (&written.serde.own_deserialize, quote!(deserializes_itself)),
            (&borrowed(written), quote!(owns_its_data)),
        ];
        let own = own.iter().filter_map(|(blamed, check)| {
            let event = respan(ident.to_token_stream(), blamed.as_ref()?.span());
            Some(quote!(#p::#check::<#event>();))
        });
        quote! {
            const _: fn() = || {
                #[allow(unused_variables)]
                let __own = (&&&&#p::Own::<#ident>::new()).sides();
                #(#checks)*
                #(#own)*
            };
        }
    }

    pub(crate) fn encode(&self, p: &Private) -> TokenStream {
        let mirror = mirror_type(self.serialize);
        quote! {
            fn encode(&self) -> #p::Result<#p::Vec<#p::u8>, #p::PayloadError> {
                (&&&#p::Encoder::<Self, #mirror>::new()).encode(self)
            }
        }
    }

    pub(crate) fn decode(&self, p: &Private) -> TokenStream {
        let mirror = mirror_type(self.deserialize);
        quote! {
            fn decode(__payload: &[#p::u8]) -> #p::Result<Self, #p::PayloadError> {
                (&&&#p::Decoder::<Self, #mirror>::new()).decode(__payload)
            }
        }
    }
}

/// What stands for the mirror where there is none has none of its functions.
fn mirror_type(exists: bool) -> TokenStream {
    if exists { quote!(__Mirror) } else { quote!(()) }
}

fn fields(fields: &[EventField<'_>], this: &TokenStream) -> Vec<TokenStream> {
    let field = |field: &EventField<'_>| {
        let serde = serde_attrs(&field.serde.carried);
        let (ident, colon) = (&field.field.ident, &field.field.colon_token);
        let ty = syntax::without_self(&field.field.ty, this);
        quote!(#serde #ident #colon #ty)
    };
    fields.iter().map(field).collect()
}

fn serde_attrs(carried: &[Meta]) -> Option<TokenStream> {
    (!carried.is_empty()).then(|| quote!(#[serde(#(#carried),*)]))
}

/// Each type once, so that a wrong one is one message; a type is needed for a side if any field of it is.
fn field_types(written: &Written<'_>) -> Vec<FieldType> {
    let this = written.input.ident.to_token_stream();
    let mut types: Vec<(String, FieldType)> = Vec::new();
    for shape in &written.shapes {
        for field in &shape.parsed {
            let ty = syntax::without_self(&field.field.ty, &this);
            let serialize = !shape.serde.not_serialized && !field.serde.not_serialized;
            let deserialize = !shape.serde.not_deserialized && !field.serde.not_deserialized;
            let text = ty.to_string();
            match types.iter_mut().find(|(known, _)| *known == text) {
                Some((_, known)) => {
                    known.serialize |= serialize;
                    known.deserialize |= deserialize;
                }
                None => types.push((text, FieldType { ty, serialize, deserialize })),
            }
        }
    }
    types.into_iter().map(|(_, ty)| ty).collect()
}

/// A reference that would have to be read from the log: nobody is there to own what it points to.
fn borrowed(written: &Written<'_>) -> Option<TokenStream> {
    let read = written.shapes.iter().filter(|shape| !shape.serde.not_deserialized).flat_map(|shape| &shape.parsed);
    let read = read.filter(|field| !field.serde.not_deserialized).map(|field| &field.field.ty);
    read.filter(|ty| matches!(syntax::bare(ty), Type::Reference(_))).map(ToTokens::to_token_stream).next()
}
