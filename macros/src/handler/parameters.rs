//! The rules for one handler function, which a free function and a method share.

use syn::{
    FnArg, PatType, Path, Safety, Signature, Token, Type, TypeParamBound, TypeReference, punctuated::Punctuated,
};

use super::event_name;
use crate::{errors::Errors, syntax};

/// The parameters of a handler function, without `self`.
pub(crate) struct Parameters<'a> {
    /// The event, without its `&`.
    pub(crate) event: &'a Type,
    /// What is injected.
    pub(crate) injected: Vec<&'a Type>,
}

/// Checks everything but the receiver.
pub(crate) fn check<'a>(sig: &'a Signature, event: Option<&Path>, errors: &mut Errors) -> Option<Parameters<'a>> {
    is_async(sig, errors);
    is_an_ordinary_function(sig, errors);
    let message = "an event handler can't be generic: it is registered once, as a static";
    syntax::refuse_generics(errors, &sig.generics, message);
    let typed: Vec<&PatType> = typed(sig).collect();
    for parameter in &typed {
        syntax::refuse_cfg(errors, &parameter.attrs, "a parameter of an event handler");
        is_borrowed_for_the_call(&parameter.ty, errors);
    }
    let event = event_comes_first(sig, &typed, event?, errors)?;
    let injected: Vec<&Type> = typed.iter().skip(1).map(|parameter| &*parameter.ty).collect();
    for ty in &injected {
        is_no_bare_trait_object(ty, errors);
        is_no_generic(ty, errors);
    }
    Some(Parameters { event, injected })
}

/// The parameters after `self`.
pub(crate) fn typed(sig: &Signature) -> impl Iterator<Item = &PatType> {
    sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    })
}

fn is_async(sig: &Signature, errors: &mut Errors) {
    if sig.asyncness.is_none() {
        errors.at(sig.fn_token, "an event handler is an `async fn`");
    }
}

fn is_an_ordinary_function(sig: &Signature, errors: &mut Errors) {
    if let Safety::Unsafe(keyword) = &sig.safety {
        errors.at(keyword, "an event handler can't be `unsafe`: the runtime calls it");
    }
    if let Some(abi) = &sig.abi {
        errors.at(abi, "an event handler has no ABI: the runtime calls it");
    }
}

fn is_borrowed_for_the_call(ty: &Type, errors: &mut Errors) {
    let Type::Reference(TypeReference { lifetime: Some(lifetime), .. }) = syntax::bare(ty) else { return };
    if lifetime.ident == "static" {
        errors.at(lifetime, "a handler borrows what it takes for one call only: leave out the `'static`");
    }
}

fn event_comes_first<'a>(
    sig: &Signature,
    typed: &[&'a PatType],
    event: &Path,
    errors: &mut Errors,
) -> Option<&'a Type> {
    let name = event_name(event);
    let missing = format!("missing the event: the first parameter is `event: &{name}`");
    let Some((first, rest)) = typed.split_first() else {
        errors.push(syn::Error::new(sig.paren_token.span.join(), missing));
        return None;
    };
    match syntax::bare(&first.ty) {
        Type::Reference(TypeReference { mutability: None, elem, .. }) if names(elem, event) => Some(elem),
        Type::Reference(TypeReference { mutability: Some(_), elem, .. }) if names(elem, event) => {
            errors.at(&first.ty, format!("an event is a fact and can't be changed: take `&{name}`"));
            None
        }
        ty if names(ty, event) => {
            errors.at(&first.ty, format!("take the event by reference: `&{name}`"));
            None
        }
        ty => {
            if let Some(later) = rest.iter().find(|later| names(referent(&later.ty), event)) {
                let function = syntax::name(&sig.ident);
                errors.at(later, format!("the event comes first: `async fn {function}(event: &{name}, ...)`"));
                return None;
            }
            match ty {
                // Perhaps the event under another name, perhaps another event: only the compiler can tell.
                Type::Reference(TypeReference { mutability: None, elem, .. }) if may_be_an_event(elem) => Some(elem),
                _ => {
                    errors.at(&first.ty, missing);
                    None
                }
            }
        }
    }
}

/// Whether the type is a path that ends like the event's.
pub(crate) fn names(ty: &Type, event: &Path) -> bool {
    syntax::last_segment(ty).is_some_and(|segment| syntax::name(&segment.ident) == event_name(event))
}

/// What a type refers to, or the type itself.
pub(crate) fn referent(ty: &Type) -> &Type {
    match syntax::bare(ty) {
        Type::Reference(reference) => syntax::bare(&reference.elem),
        ty => ty,
    }
}

fn may_be_an_event(ty: &Type) -> bool {
    syntax::last_segment(ty).is_some_and(|segment| segment.ident != "Service" && segment.ident != "EventMeta")
}

fn is_no_bare_trait_object(ty: &Type, errors: &mut Errors) {
    let Type::Reference(reference) = syntax::bare(ty) else { return };
    if let Type::TraitObject(object) = syntax::bare(&reference.elem) {
        let of = principal(&object.bounds);
        errors.at(ty, format!("a service is injected as `Service<dyn {of}>`, not by reference"));
    }
}

/// The first trait of `dyn A + Send + Sync`.
fn principal(bounds: &Punctuated<TypeParamBound, Token![+]>) -> String {
    let first = bounds.iter().find(|bound| matches!(bound, TypeParamBound::Trait(_)));
    first.map(syntax::text).unwrap_or_default()
}

fn is_no_generic(ty: &Type, errors: &mut Errors) {
    if let Type::ImplTrait(generic) = syntax::bare(referent(ty)) {
        let of = principal(&generic.bounds);
        errors.at(
            ty,
            format!("an event handler can't be generic: it is registered once, as a static; take `Service<dyn {of}>`"),
        );
    }
}
