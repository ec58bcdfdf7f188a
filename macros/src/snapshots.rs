//! What the macros write, as text: read these files to see an expansion, and their differences to review a change.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p domain-events-macros` writes them anew.

use std::{fs, path::Path};

use proc_macro2::TokenStream;
use quote::quote;

use crate::{aggregate, event, handler, services};

/// Compares `expanded` with the file, or writes it.
fn check(name: &str, expanded: TokenStream) {
    let file = match syn::parse2(expanded) {
        Ok(file) => file,
        Err(error) => panic!("{name}: the expansion is not Rust: {error}"),
    };
    let text = prettyplease::unparse(&file);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/snapshots").join(name).with_extension("expanded.rs");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        expected == text,
        "{} differs; UPDATE_SNAPSHOTS=1 writes it anew\n{}",
        path.display(),
        diff(&expected, &text)
    );
}

/// The lines between the common start and the common end.
fn diff(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let start = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let rest = expected.len().min(found.len()) - start;
    let end = expected.iter().rev().zip(found.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let removed = expected.iter().take(expected.len() - end).skip(start).map(|line| format!("-{line}\n"));
    let added = found.iter().take(found.len() - end).skip(start).map(|line| format!("+{line}\n"));
    removed.chain(added).collect()
}

#[test]
fn a_difference_is_shown_without_what_is_the_same() {
    assert_eq!(diff("a\nb\nc\nd", "a\nx\nc\nd"), "-b\n+x\n");
    assert_eq!(diff("a\na", "a\na\na"), "+a\n");
}

#[test]
fn an_event() {
    let event = quote! {
        /// A card was added to a curator's library.
        #[event(aggregate = Card, name = "card.added", version = 2, alias = "CardAdded")]
        #[serde(rename_all = "camelCase")]
        pub struct CardAdded {
            /// Not carried over.
            #[event(aggregate_id)]
            pub card_id: CardId,
            #[serde(default)]
            pub url: Option<Url>,
            #[event(occurred_at)]
            pub occurred_at: DateTime<Utc>,
        }
    };
    check("event", event::derive(event));
}

#[test]
fn an_event_that_is_an_enum() {
    let event = quote! {
        #[event(aggregate = cards::Card)]
        enum CardMoved {
            #[serde(rename = "in")]
            In {
                #[event(aggregate_id)]
                card_id: CardId,
                collection: CollectionId,
            },
            Out(#[event(aggregate_id)] CardId),
        }
    };
    check("event_enum", event::derive(event));
}

#[test]
fn an_aggregate() {
    let aggregate = quote! {
        #[derive(Debug)]
        pub struct Card {
            #[aggregate(id)]
            id: CardId,
            #[aggregate(version)]
            version: u64,
            events: PendingEvents,
        }
    };
    check("aggregate", aggregate::expand(TokenStream::new(), aggregate));
}

#[test]
fn a_handler_function() {
    let options = quote!(CardAdded, group = "mail", max_attempts = 5, backoff = "500ms..10m", on_dead = "park", once);
    let function = quote! {
        async fn notify(event: &CardAdded, mailer: Service<dyn Mailer>, meta: &EventMeta) -> Result<(), MailError> {
            mailer.send(event, meta).await
        }
    };
    check("handler_fn", handler::expand(options, function));
}

#[test]
fn a_handler_struct() {
    let block = quote! {
        impl Index {
            async fn handle(&self, event: &CardAdded) -> Result<(), IndexError> {
                self.store.put(&event.card_id).await
            }
        }
    };
    check("handler_impl", handler::expand(quote!(CardAdded), block));
}

#[test]
fn a_handler_struct_with_two_events() {
    let block = quote! {
        impl Index {
            async fn on_added(&self, event: &CardAdded) {}
            async fn on_removed(&self, event: &CardRemoved, attempt: Attempt) -> Result<(), IndexError> {
                Ok(())
            }
        }
    };
    check("handler_impl_two_events", handler::expand(quote!(CardAdded, CardRemoved), block));
}

#[test]
fn a_struct_built_from_services() {
    let handler = quote! {
        struct Index {
            store: Service<dyn Store>,
            mailer: Service<Mailer>,
        }
    };
    check("from_services", services::derive(handler));
}
