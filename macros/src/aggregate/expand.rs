//! The impls: the definition in the link-time slice, `AggregateType` and `AggregateRoot`. Cannot fail.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};

use super::{
    check::Aggregate,
    parse::{AggregateField, Written},
};
use crate::{paths::Private, registration, syntax};

pub(crate) fn expand(written: &Written<'_>, aggregate: &Aggregate<'_>) -> TokenStream {
    let (p, ident) = (&written.private, &written.item.ident);
    let import = p.import();
    let cfgs = syntax::cfgs(&written.item.attrs);
    let name = written.name.clone().unwrap_or_else(|| syntax::name(ident).to_token_stream());
    let static_ = registration::element(
        p,
        "AGGREGATES",
        &quote!(#p::AggregateDef),
        |source| quote!(#p::AggregateDef::of::<#ident>(#source)),
    );
    let (id, id_type) = (&aggregate.id.field.ident, &aggregate.id.field.ty);
    let pending = &aggregate.pending.field.ident;
    let version = aggregate.version.map(|field| version(p, field));
    quote! {
        #(#cfgs)*
        const _: () = {
            #import
            #static_
            impl #p::AggregateType for #ident {
                const NAME: &'static #p::str = #name;
            }
            impl #p::AggregateRoot for #ident {
                fn aggregate_id(&self) -> #p::AggregateId {
                    #p::aggregate_id::<#id_type>(&self.#id)
                }
                #version
                fn pending(&self) -> &#p::PendingEvents {
                    &self.#pending
                }
                fn pending_mut(&mut self) -> &mut #p::PendingEvents {
                    &mut self.#pending
                }
            }
        };
    }
}

fn version(p: &Private, field: &AggregateField<'_>) -> TokenStream {
    let (version, ty) = (&field.field.ident, &field.field.ty);
    let number = quote!(#p::Option<#p::u64>);
    quote! {
        fn aggregate_version(&self) -> #number {
            #p::Some((#p::version::<#ty>().get)(self.#version))
        }
        fn advance_version(&mut self) -> #number {
            self.#version = (#p::version::<#ty>().next)(self.#version);
            #p::AggregateRoot::aggregate_version(self)
        }
    }
}
