//! Two `#[event_handler(..)]` on one item: told once, by the first, which takes the others away before they are expanded.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{Attribute as SynAttribute, Meta};

use super::{attribute::Attribute, event_name, item::Item};
use crate::{
    errors::{Errors, collect},
    syntax,
};

/// Whether there are more of them; each is told as a mistake.
pub(crate) fn refuse(attribute: &Attribute, item: &Item, errors: &mut Errors) -> bool {
    let attrs = match item {
        Item::Fn(function) => &function.attrs,
        Item::Impl(block) => &block.attrs,
        Item::Other(_) => return false,
    };
    let more: Vec<&SynAttribute> = attrs.iter().filter(|attr| is_event_handler(&attr.meta)).collect();
    for attr in &more {
        let message = match item {
            Item::Impl(_) => {
                let events: Vec<String> =
                    attribute.events.iter().chain(&events_of(attr)).map(event_name).collect();
                format!(
                    "an `impl` block has one `#[event_handler(..)]`, with all its events: `#[event_handler({})]`",
                    events.join(", ")
                )
            }
            _ => "a function is one handler, with one `#[event_handler(..)]`: for a second one, write another `async fn` \
                  that calls it"
                .to_owned(),
        };
        errors.at(attr, message);
    }
    !more.is_empty()
}

/// The item without these attributes.
pub(crate) fn strip(item: TokenStream) -> TokenStream {
    let mut tokens = item.into_iter().peekable();
    let mut kept = TokenStream::new();
    while let Some(token) = tokens.next() {
        let is_hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
        let stripped = tokens.next_if(|next| is_hash && matches!(next, TokenTree::Group(group) if is_ours(group)));
        if stripped.is_none() {
            kept.extend([token]);
        }
        // Attributes stand before everything else.
        if !is_hash && !matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '#') {
            kept.extend(tokens);
            break;
        }
    }
    kept
}

fn is_ours(group: &proc_macro2::Group) -> bool {
    group.delimiter() == Delimiter::Bracket
        && syn::parse2::<Meta>(group.stream()).is_ok_and(|meta| is_event_handler(&meta))
}

fn is_event_handler(meta: &Meta) -> bool {
    syntax::last_name(meta.path()) == "event_handler"
}

fn events_of(attr: &SynAttribute) -> Vec<syn::Path> {
    let args = attr.meta.require_list().map(|list| list.tokens.clone()).unwrap_or_default();
    // What is wrong with it is told once it stands alone.
    collect(|errors| Attribute::parse(args, errors)).0.events
}
