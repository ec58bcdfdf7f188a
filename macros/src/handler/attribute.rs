//! What was written in `#[event_handler(..)]`: the events, and the options as calls on `HandlerOptions`.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{
    Path, Token,
    ext::IdentExt as _,
    parse::{Parse, ParseStream, Parser as _},
    punctuated::Punctuated,
    token,
};

use crate::{
    duration,
    errors::Errors,
    options::{Entry, check_names},
    paths::Private,
    syntax,
};

const OPTIONS: [&str; 13] = [
    "group",
    "name",
    "alias",
    "aliases",
    "max_attempts",
    "backoff",
    "timeout",
    "on_dead",
    "once",
    "partitions",
    "concurrency",
    "start",
    "crate",
];

/// The attribute of one handler.
pub(crate) struct Attribute {
    pub(crate) private: Private,
    pub(crate) events: Vec<Path>,
    pub(crate) name: Option<TokenStream>,
    pub(crate) group: Option<TokenStream>,
    pub(crate) aliases: Vec<TokenStream>,
    /// `.max_attempts(5)`, and so on.
    pub(crate) options: Vec<TokenStream>,
    /// Whether its text could be read: if not, nothing that seems to be missing is.
    pub(crate) is_read: bool,
}

/// One argument.
enum Argument {
    Event(Path),
    Option(Entry),
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if is_option(input) {
            return Ok(Self::Option(input.parse()?));
        }
        let start = input.span();
        input.call(Path::parse_mod_style).map(Self::Event).map_err(|_| {
            syn::Error::new(start, "expected an event or an option: `#[event_handler(SomeEvent, max_attempts = 5)]`")
        })
    }
}

/// `name = ..`, `name(..)`, or a single word that is no type: types begin with a capital letter.
fn is_option(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    let Ok(word) = ahead.call(Ident::parse_any) else { return false };
    let alone = ahead.is_empty() || ahead.peek(Token![,]);
    let lower = syntax::name(&word).starts_with(|c: char| c.is_lowercase());
    ahead.peek(Token![=]) || ahead.peek(token::Paren) || (alone && lower)
}

impl Attribute {
    pub(crate) fn parse(args: TokenStream, errors: &mut Errors) -> Self {
        let arguments = errors.keep(Punctuated::<Argument, Token![,]>::parse_terminated.parse2(args));
        let is_read = arguments.is_some();
        let (mut events, mut entries) = (Vec::new(), Vec::new());
        for argument in arguments.into_iter().flatten() {
            match argument {
                Argument::Event(event) => events.push(event),
                Argument::Option(entry) => entries.push(entry),
            }
        }
        check_names(errors, &entries, &OPTIONS, "`#[event_handler]`");
        let krate = entries.iter().find(|entry| entry.name == "crate");
        let krate = krate.and_then(|entry| entry.path(errors, "crate = my_crate::domain_events"));
        let mut attribute = Self {
            private: Private::new(krate.as_ref()),
            events,
            name: None,
            group: None,
            aliases: Vec::new(),
            options: Vec::new(),
            is_read,
        };
        for entry in &entries {
            attribute.option(entry, errors);
        }
        attribute
    }

    fn option(&mut self, entry: &Entry, errors: &mut Errors) {
        let p = self.private.clone();
        let value = match entry.name.to_string().as_str() {
            "name" => return self.name = entry.text(errors),
            "group" => return self.group = entry.text(errors),
            "alias" => return self.aliases.extend(entry.text(errors)),
            "aliases" => return self.aliases.extend(entry.texts(errors)),
            "max_attempts" => entry.number(errors, 1, u64::from(u32::MAX)),
            "partitions" => entry.number(errors, 1, 256),
            "concurrency" => entry.number(errors, 1, 1024),
            "once" => entry.flag(errors),
            "timeout" => entry.literal_or_const(errors, "\"30s\"", |text| timeout(&p, text)),
            "backoff" => entry.literal_or_const(errors, "\"500ms..10m\"", |text| backoff(&p, text)),
            "on_dead" => entry.literal_or_const(errors, "\"continue\" or \"park\"", |text| {
                choice(text, [("continue", quote!(#p::OnDead::Continue)), ("park", quote!(#p::OnDead::Park))])
            }),
            "start" => entry.literal_or_const(errors, "\"beginning\" or \"now\"", |text| {
                choice(text, [("beginning", quote!(#p::Start::Beginning)), ("now", quote!(#p::Start::Now))])
            }),
            _ => return,
        };
        let name = &entry.name;
        self.options.extend(value.map(|value| quote!(.#name(#value))));
    }
}

fn timeout(p: &Private, text: &str) -> Result<TokenStream, String> {
    match duration::millis(text)? {
        0 => Err("a handler needs some time; write more than zero".to_owned()),
        millis => Ok(quote!(#p::millis(#millis))),
    }
}

fn backoff(p: &Private, text: &str) -> Result<TokenStream, String> {
    let (first, limit) = duration::backoff(text)?;
    Ok(quote!(#p::Backoff::exponential(#p::millis(#first), #p::millis(#limit))))
}

fn choice(text: &str, choices: [(&str, TokenStream); 2]) -> Result<TokenStream, String> {
    let names = choices.each_ref().map(|(name, _)| format!("\"{name}\""));
    let chosen = choices.into_iter().find(|(name, _)| *name == text).map(|(_, code)| code);
    chosen.ok_or_else(|| format!("there are {}", names.join(" and ")))
}
