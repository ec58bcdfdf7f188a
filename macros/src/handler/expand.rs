//! The link-time registration: one static per handler, behind a constant that `handler!` can name. Cannot fail.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens as _, format_ident, quote};
use syn::{ReturnType, Visibility};

use super::{
    P,
    attribute::Attribute,
    check::{Call, Handler},
    item::Item,
};
use crate::{paths::respan, registration, syntax};

/// The static in the link-time slice, and a reference to it.
pub(crate) fn definition(attribute: &Attribute, handler: &Handler<'_>) -> TokenStream {
    let p = &attribute.private;
    let name = attribute.name.clone().unwrap_or_else(|| syntax::name(handler.ident).to_token_stream());
    let group = option(p, attribute.group.as_ref());
    let instance = handler.self_ty.map(|ty| quote!(#p::build::<#ty>));
    let instance = option(p, instance.as_ref());
    let aliases = &attribute.aliases;
    let options = &attribute.options;
    let events = handler.calls.iter().map(|call| handled_event(p, handler, call));
    let element = registration::element(p, "HANDLERS", &quote!(#p::HandlerDef), |source| {
        quote! {
            #p::HandlerDef {
                name: #name,
                group: #group,
                aliases: &[#(#aliases),*],
                source: #source,
                events: &[#(#events),*],
                instance: #instance,
                options: #p::HandlerOptions::DEFAULT #(#options)*,
            }
        }
    });
    let import = p.import();
    quote!({ #import #element &__DEF })
}

/// The constant beside the handler, as visible as the handler is.
pub(crate) fn constant(p: P<'_>, item: &Item, definition: &TokenStream) -> Option<TokenStream> {
    let (attrs, vis, ident) = match item {
        Item::Fn(function) => (&function.attrs, function.vis.clone(), &function.sig.ident),
        Item::Impl(block) => (&block.attrs, crate_visible(), &syntax::last_segment(&block.self_ty)?.ident),
        Item::Other(_) => return None,
    };
    let (cfgs, name, path) = (syntax::cfgs(attrs), constant_name(ident), p.path());
    Some(quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #[allow(non_upper_case_globals, unreachable_pub)]
        #vis const #name: &'static #path::HandlerDef = #definition;
    })
}

/// The name of the constant beside the handler of this name. Of a type there is one: rustc's message about a second block
/// says no more than this name, so it says what is the matter. By the spelling alone, since `handler!` knows no more.
pub(crate) fn constant_name(ident: &Ident) -> Ident {
    let is_type = syntax::name(ident).starts_with(char::is_uppercase);
    let name = if is_type { "__the_one_event_handler_block_of" } else { "__domain_events_handler" };
    format_ident!("{}_{}", name, ident, span = ident.span())
}

fn crate_visible() -> Visibility {
    syn::parse_quote!(pub(crate))
}

fn option(p: P<'_>, value: Option<&TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(#p::Some(#value)),
        None => quote!(#p::None),
    }
}

/// Every type of the handler stands in the angle brackets of one function with one bound: so rustc blames it there.
fn handled_event(p: P<'_>, handler: &Handler<'_>, call: &Call<'_>) -> TokenStream {
    let this = handler.self_ty.map(|ty| ty.to_token_stream()).unwrap_or_default();
    let event = call.event;
    let taken = syntax::without_self(call.parameters.event, &this);
    let types: Vec<_> = call.parameters.injected.iter().map(|ty| syntax::without_self(ty, &this)).collect();
    let indexes = 0..types.len();
    let instance = handler.self_ty.map(|_| quote!(__call.instance(),));
    // What the future lacks, `Send` above all, is blamed on the handler's name.
    let function = match handler.self_ty {
        Some(ty) => respan_path(&quote!(<#ty>::), call.function),
        None => call.function.to_token_stream(),
    };
    let arguments = quote!(#instance __call.event(), #(#p::inject::<#types>(__call, #indexes)),*);
    let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
    arguments.set_span(call.function.span());
    let arguments = TokenTree::Group(arguments);
    let output = output(call.output, &this);
    // A future that is not `Send` is blamed here: on the user's function, not on the attribute.
    let run = respan(quote!(#p::run), call.function.span());
    quote! {
        #p::HandledEvent {
            event: #p::handled_event::<#event, #taken>(),
            dependencies: &[#(#p::dependency::<#types>()),*],
            call: |__call, __cx| #run(#p::place(), #function #arguments, #p::output::<#output>(), __cx),
        }
    }
}

fn respan_path(path: &TokenStream, function: &Ident) -> TokenStream {
    let path = respan(path.clone(), function.span());
    quote!(#path #function)
}

fn output(output: &ReturnType, this: &TokenStream) -> TokenStream {
    match output {
        ReturnType::Default => quote!(()),
        // `impl Trait` can't be named, so it is left to inference.
        ReturnType::Type(_, ty) if contains_impl(ty.to_token_stream()) => quote!(_),
        ReturnType::Type(_, ty) => syntax::without_self(ty, this),
    }
}

fn contains_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => contains_impl(group.stream()),
        _ => false,
    })
}
