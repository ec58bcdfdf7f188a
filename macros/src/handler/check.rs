//! What is wrong with it: one short function per rule.

use syn::{FnArg, Ident, Path, ReceiverKind, ReturnType, Type};

use super::{
    attribute::Attribute,
    event_name,
    item::{Function, ImplBlock, Item},
    parameters::{self, Parameters},
};
use crate::{errors::Errors, syntax};

/// A handler without a mistake.
pub(crate) struct Handler<'a> {
    /// Its name, unless the attribute says another.
    pub(crate) ident: &'a Ident,
    /// The type of an impl block.
    pub(crate) self_ty: Option<&'a Type>,
    /// One per event.
    pub(crate) calls: Vec<Call<'a>>,
}

/// Which function takes an event, and how.
pub(crate) struct Call<'a> {
    pub(crate) event: &'a Path,
    pub(crate) function: &'a Ident,
    pub(crate) parameters: Parameters<'a>,
    pub(crate) output: &'a ReturnType,
}

pub(crate) fn check<'a>(attribute: &'a Attribute, item: &'a Item, errors: &mut Errors) -> Option<Handler<'a>> {
    // Which method takes an event that is listed twice can't be told.
    if !no_event_twice(attribute, errors) {
        return None;
    }
    match item {
        Item::Fn(function) => check_fn(attribute, function, errors),
        Item::Impl(block) => check_impl(attribute, block, errors),
        Item::Other(keyword) => {
            errors.at(keyword, "`#[event_handler]` goes on an `async fn` or on the `impl` block of a handler struct");
            None
        }
    }
}

fn check_fn<'a>(attribute: &'a Attribute, function: &'a Function, errors: &mut Errors) -> Option<Handler<'a>> {
    if let Some(FnArg::Receiver(receiver)) = function.sig.inputs.first() {
        errors.at(receiver, "this is a method: put `#[event_handler]` on its `impl` block");
        return None;
    }
    let event = takes_one_event(attribute, errors);
    if event.is_none() {
        names_an_event(attribute, Some(function), errors);
    }
    let parameters = parameters::check(&function.sig, event, errors);
    let call = call(event?, function, parameters?);
    Some(Handler { ident: &function.sig.ident, self_ty: None, calls: vec![call] })
}

fn check_impl<'a>(attribute: &'a Attribute, block: &'a ImplBlock, errors: &mut Errors) -> Option<Handler<'a>> {
    if let Some(of_trait) = &block.of_trait {
        errors.at(of_trait, "`#[event_handler]` goes on the handler's own `impl` block, not on that of a trait");
        return None;
    }
    let message = "an event handler can't be generic: it is registered once, as a static";
    syntax::refuse_generics(errors, &block.generics, message);
    let ident = syntax::last_segment(&block.self_ty).map(|segment| &segment.ident);
    if ident.is_none() {
        errors.at(&block.self_ty, "the type of a handler is a struct of this crate");
    }
    names_an_event(attribute, block.methods.iter().find(|method| method.sig.ident == "handle"), errors);
    let calls: Vec<Option<Call<'a>>> = match attribute.events.as_slice() {
        [] => return None,
        [event] => vec![the_handle_method(event, block, errors)],
        events => {
            handle_takes_a_listed_event(events, block, errors);
            takes_no_other_event(events, block, errors);
            events.iter().map(|event| the_method_for(event, block, errors)).collect()
        }
    };
    Some(Handler { ident: ident?, self_ty: Some(&block.self_ty), calls: calls.into_iter().collect::<Option<_>>()? })
}

fn no_event_twice(attribute: &Attribute, errors: &mut Errors) -> bool {
    let events = attribute.events.iter().enumerate();
    let twice: Vec<&Path> = events
        .filter(|(index, event)| {
            attribute.events.iter().take(*index).any(|earlier| event_name(earlier) == event_name(event))
        })
        .map(|(_, event)| event)
        .collect();
    for event in &twice {
        let name = event_name(event);
        errors.at(event, format!("`{name}` is listed twice; import one under another name if these are two events"));
    }
    twice.is_empty()
}

/// `likely` may show which event was meant.
fn names_an_event(attribute: &Attribute, likely: Option<&Function>, errors: &mut Errors) {
    if !attribute.events.is_empty() || !attribute.is_read {
        return;
    }
    let first = likely.and_then(|function| parameters::typed(&function.sig).next());
    let event = first.and_then(|first| match syntax::bare(&first.ty) {
        Type::Reference(reference) => syntax::last_segment(&reference.elem).map(|segment| segment.ident.to_string()),
        _ => None,
    });
    let event = event.unwrap_or_else(|| "SomeEvent".to_owned());
    let message = format!("which event? write `#[event_handler({event})]`");
    errors.push(syn::Error::new(proc_macro2::Span::call_site(), message));
}

fn takes_one_event<'a>(attribute: &'a Attribute, errors: &mut Errors) -> Option<&'a Path> {
    let (event, more) = attribute.events.split_first()?;
    if let Some(second) = more.first() {
        let (event, second_name) = (event_name(event), event_name(second));
        errors.at(
            second,
            format!(
                "a function handles one event; for several, write a handler struct with a method for each: \
                 `#[event_handler({event}, {second_name})] impl MyHandler {{ async fn on_first(&self, event: &{event}) \
                 .. async fn on_second(&self, event: &{second_name}) .. }}`"
            ),
        );
    }
    Some(event)
}

fn the_handle_method<'a>(event: &'a Path, block: &'a ImplBlock, errors: &mut Errors) -> Option<Call<'a>> {
    let Some(method) = block.methods.iter().find(|method| method.sig.ident == "handle") else {
        let name = event_name(event);
        let message = match block.methods.iter().find(|method| takes(method, event)) {
            Some(other) => format!("no `handle` method here: rename `{}` to `handle`", other.sig.ident),
            None => format!("no `handle` method here: add `async fn handle(&self, event: &{name}) -> Result<(), E>`"),
        };
        errors.push(syn::Error::new(block.brace.span.open(), message));
        return None;
    };
    checked(event, method, errors)
}

fn the_method_for<'a>(event: &'a Path, block: &'a ImplBlock, errors: &mut Errors) -> Option<Call<'a>> {
    let name = event_name(event);
    let taking: Vec<&Function> = block.methods.iter().filter(|method| takes(method, event)).collect();
    // A method that is not async is a helper, unless it is the only one: then `async` was forgotten.
    let mut candidates = taking.iter().filter(|method| taking.len() == 1 || method.sig.asyncness.is_some());
    let Some(method) = candidates.next() else {
        errors
            .at(event, format!("no method takes `{name}`: add `async fn ..(&self, event: &{name}) -> Result<(), E>`"));
        return None;
    };
    for second in candidates {
        let first = &method.sig.ident;
        errors.at(&second.sig.ident, format!("`{name}` is handled by `{first}` already: one method per event"));
    }
    checked(event, method, errors)
}

/// Whether the first parameter after `self` is a reference to the event.
fn takes(method: &Function, event: &Path) -> bool {
    parameters::typed(&method.sig).next().is_some_and(|first| {
        matches!(syntax::bare(&first.ty), Type::Reference(_))
            && parameters::names(parameters::referent(&first.ty), event)
    })
}

fn handle_takes_a_listed_event(events: &[Path], block: &ImplBlock, errors: &mut Errors) {
    let handle = block.methods.iter().find(|method| method.sig.ident == "handle");
    let Some(handle) = handle.filter(|handle| !events.iter().any(|event| takes(handle, event))) else { return };
    let names: Vec<String> = events.iter().map(|event| format!("`&{}`", event_name(event))).collect();
    errors.at(
        &handle.sig.ident,
        format!("with several events there is one method for each; this one takes none of {}", names.join(", ")),
    );
}

/// A method that calls its parameter `event` was meant to be a handler.
fn takes_no_other_event(events: &[Path], block: &ImplBlock, errors: &mut Errors) {
    for method in block.methods.iter().filter(|method| method.sig.asyncness.is_some() && method.sig.ident != "handle") {
        let Some(first) = parameters::typed(&method.sig).next() else { continue };
        let called_event = matches!(&*first.pat, syn::Pat::Ident(pat) if pat.ident == "event" || pat.ident == "_event");
        let Some(other) = syntax::last_segment(parameters::referent(&first.ty)) else { continue };
        if called_event && !events.iter().any(|event| takes(method, event)) {
            let other = &other.ident;
            errors.at(
                &first.ty,
                format!(
                    "`{other}` is not listed: add it to `#[event_handler(..)]`, or don't call this parameter `event`"
                ),
            );
        }
    }
}

fn checked<'a>(event: &'a Path, method: &'a Function, errors: &mut Errors) -> Option<Call<'a>> {
    syntax::refuse_cfg(errors, &method.attrs, "the method of an event handler");
    takes_a_shared_self(method, errors);
    let parameters = parameters::check(&method.sig, Some(event), errors)?;
    Some(call(event, method, parameters))
}

fn takes_a_shared_self(method: &Function, errors: &mut Errors) {
    let ident = &method.sig.ident;
    let message = format!("`{ident}` takes `&self`: one instance serves every event");
    match method.sig.receiver() {
        Some(receiver) if is_shared(&receiver.kind) => {}
        Some(receiver) => errors.at(receiver, message),
        None => errors.at(ident, message),
    }
}

/// `&self` or `self: &Self`.
fn is_shared(receiver: &ReceiverKind) -> bool {
    match receiver {
        ReceiverKind::Reference(_, _, mutability) => mutability.is_none(),
        ReceiverKind::Typed(_, ty) => matches!(syntax::bare(ty), Type::Reference(ty) if ty.mutability.is_none()),
        _ => false,
    }
}

fn call<'a>(event: &'a Path, function: &'a Function, parameters: Parameters<'a>) -> Call<'a> {
    Call { event, function: &function.sig.ident, parameters, output: &function.sig.output }
}
