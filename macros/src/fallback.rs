//! What is emitted beside an error: stub impls, so that code which uses the item has no errors of its own.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{Error, Generics};

use crate::{aggregate, event, paths::Private, registration, syntax};

/// A broken event is an event still: it can be raised, by any aggregate, and handled.
pub(crate) fn event(written: &event::Written<'_>, errors: Error) -> TokenStream {
    let (p, ident) = (&written.private, &written.input.ident);
    let errors = errors.into_compile_error();
    if is_generic(&written.input.generics) {
        return errors;
    }
    let unknown = quote!(#p::UnknownAggregate);
    let aggregate = written.aggregate.as_ref().map_or(unknown, |aggregate| aggregate.to_token_stream());
    let (import, name) = (p.import(), syntax::name(ident));
    let source = registration::source(p);
    let new = event::construct(written, |_| quote!(#p::stub()));
    quote! {
        #errors
        #[allow(unreachable_code, unused_variables)]
        const _: () = {
            #import
            impl<__A> #p::RaisedBy<__A> for #ident {}
            impl #p::DomainEvent for #ident {
                type Aggregate = #aggregate;
                const NAME: &'static #p::str = #name;
                const VERSION: #p::u32 = 1;
                const ALIASES: &'static [&'static #p::str] = &[];
                const DEF: &'static #p::EventDef = &#p::EventDef::of::<#ident>(#source);
                fn aggregate_id(&self) -> #p::AggregateId {
                    #p::stub()
                }
                fn encode(&self) -> #p::Result<#p::Vec<#p::u8>, #p::PayloadError> {
                    #p::stub()
                }
                fn decode(_: &[#p::u8]) -> #p::Result<Self, #p::PayloadError> {
                    #p::stub()
                }
            }
            #new
        };
    }
}

/// A broken aggregate root is one still: it can raise, be recorded and be named by events.
pub(crate) fn aggregate(written: &aggregate::Written<'_>, errors: Error) -> TokenStream {
    let (p, ident) = (&written.private, &written.item.ident);
    let errors = errors.into_compile_error();
    if is_generic(&written.item.generics) {
        return errors;
    }
    let (import, name) = (p.import(), syntax::name(ident));
    quote! {
        #errors
        const _: () = {
            #import
            impl #p::AggregateType for #ident {
                const NAME: &'static #p::str = #name;
            }
            impl #p::AggregateRoot for #ident {
                fn aggregate_id(&self) -> #p::AggregateId {
                    #p::stub()
                }
                fn pending(&self) -> &#p::PendingEvents {
                    #p::stub()
                }
                fn pending_mut(&mut self) -> &mut #p::PendingEvents {
                    #p::stub()
                }
            }
        };
    }
}

/// A broken handler can be named by `handler!`, and is registered nowhere.
pub(crate) fn handler(p: &Private) -> TokenStream {
    let (import, source) = (p.import(), registration::source(p));
    quote! {
        {
            #import
            &#p::HandlerDef {
            name: "",
            group: #p::None,
            aliases: &[],
            source: #source,
            events: &[],
            instance: #p::None,
            options: #p::HandlerOptions::DEFAULT,
            }
        }
    }
}

/// A stub for every type and lifetime that could stand there would need the bounds of the trait: leave it.
fn is_generic(generics: &Generics) -> bool {
    !generics.params.is_empty()
}
