//! The impl: the definition in the link-time slice, the mirror for serde, and `DomainEvent` itself. Cannot fail.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, format_ident, quote};
use syn::{Fields, spanned::Spanned as _};

use super::{
    check::{CheckedShape, Event},
    mirror::Mirror,
    parse::{EventField, Written},
};
use crate::{registration, syntax};

pub(crate) fn expand(written: &Written<'_>, event: &Event<'_>) -> TokenStream {
    let ident = &written.input.ident;
    let p = &written.private;
    let static_ =
        registration::element(p, "EVENTS", &quote!(#p::EventDef), |source| quote!(#p::EventDef::of::<#ident>(#source)));
    let mirror = Mirror::of(written);
    let items = mirror.items(written);
    let (encode, decode) = (mirror.encode(p), mirror.decode(p));
    let import = p.import_with_traits();
    let aggregate = event.aggregate;
    let name = written.name.clone().unwrap_or_else(|| syntax::name(ident).to_token_stream());
    let version = written.version.clone().unwrap_or_else(|| quote!(1));
    let aliases = &written.aliases;
    let aggregate_id = aggregate_id(written, event);
    let occurred_at = occurred_at(written, event);
    let new = new(written);
    quote! {
        const _: () = {
            #import
            #static_
            #items
            impl #p::RaisedBy<#aggregate> for #ident {}
            impl #p::DomainEvent for #ident {
                type Aggregate = #aggregate;
                const NAME: &'static #p::str = #name;
                const VERSION: #p::u32 = #version;
                const ALIASES: &'static [&'static #p::str] = &[#(#aliases),*];
                const DEF: &'static #p::EventDef = &__DEF;
                #aggregate_id
                #occurred_at
                #encode
                #decode
            }
            #new
        };
    }
}

fn aggregate_id(written: &Written<'_>, event: &Event<'_>) -> TokenStream {
    let p = &written.private;
    let id = |field: &EventField<'_>, place: &TokenStream| {
        let ty = &field.field.ty;
        quote!(#p::aggregate_id::<#ty>(&#place))
    };
    let body = per_shape(event, |shape| shape.aggregate_id, id);
    quote! {
        fn aggregate_id(&self) -> #p::AggregateId {
            #body
        }
    }
}

fn occurred_at(written: &Written<'_>, event: &Event<'_>) -> Option<TokenStream> {
    let p = &written.private;
    event.shapes.first()?.occurred_at?;
    let time = |field: &EventField<'_>, place: &TokenStream| {
        let ty = &field.field.ty;
        quote!((#p::time::<#ty>().get)(#place))
    };
    let body = per_shape(event, |shape| shape.occurred_at.unwrap_or(shape.aggregate_id), time);
    Some(quote! {
        fn occurred_at(&self) -> #p::Option<#p::DateTime<#p::Utc>> {
            #p::Some(#body)
        }
    })
}

/// `read` of one field of a struct, or of each variant.
fn per_shape<'a>(
    event: &'a Event<'a>,
    field: impl Fn(&CheckedShape<'a>) -> &'a EventField<'a>,
    read: impl Fn(&EventField<'_>, &TokenStream) -> TokenStream,
) -> TokenStream {
    let arms = event.shapes.iter().map(|shape| {
        let field = field(shape);
        let member = &field.member;
        match shape.shape.variant {
            None => Err(read(field, &quote!(self.#member))),
            Some(variant) => {
                let (ident, body) = (&variant.ident, read(field, &quote!(*__field)));
                Ok(quote!(Self::#ident { #member: __field, .. } => #body))
            }
        }
    });
    match arms.collect::<Result<Vec<_>, _>>() {
        Ok(arms) => quote!(match self { #(#arms,)* }),
        Err(of_struct) => of_struct,
    }
}

/// The constructor of a struct that says when it occurred: all other fields in order.
pub(crate) fn new(written: &Written<'_>) -> Option<TokenStream> {
    let p = &written.private;
    construct(written, |ty| quote!((#p::time::<#ty>().stamp)()))
}

/// `fn new(..)`, with `time` of the field's type in the place of the marked field.
pub(crate) fn construct(written: &Written<'_>, time: impl Fn(&syn::Type) -> TokenStream) -> Option<TokenStream> {
    if written.is_enum() {
        return None;
    }
    let shape = written.shapes.first()?;
    let marked = shape.parsed.iter().position(|field| field.occurred_at.is_some())?;
    let (ident, vis) = (&written.input.ident, &written.input.vis);
    let names: Vec<Ident> = shape.parsed.iter().enumerate().map(|(index, field)| parameter(index, field)).collect();
    let parameters = names.iter().zip(&shape.parsed).enumerate().filter(|(index, _)| *index != marked);
    let parameters = parameters.map(|(_, (name, field))| {
        let ty = &field.field.ty;
        quote!(#name: #ty)
    });
    let values = names.iter().zip(&shape.parsed).enumerate().map(|(index, (name, field))| {
        let time = (index == marked).then(|| time(&field.field.ty));
        match (shape.fields, time) {
            (Fields::Named(_), Some(time)) => quote!(#name: #time),
            (_, Some(time)) => time,
            (_, None) => quote!(#name),
        }
    });
    let body = match shape.fields {
        Fields::Named(_) => quote!(Self { #(#values),* }),
        _ => quote!(Self(#(#values),*)),
    };
    let doc = format!(" A `{ident}` that occurred now.");
    Some(quote! {
        #[allow(dead_code, unreachable_pub, private_interfaces, clippy::too_many_arguments)]
        impl #ident {
            #[doc = #doc]
            #[must_use]
            #vis fn new(#(#parameters),*) -> Self {
                #body
            }
        }
    })
}

fn parameter(index: usize, field: &EventField<'_>) -> Ident {
    let unnamed = || format_ident!("field_{}", index, span = field.field.ty.span());
    field.field.ident.clone().unwrap_or_else(unnamed)
}
