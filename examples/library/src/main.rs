//! A library of web cards, built on domain events: the example application of `domain-events`.
//!
//! Curators keep cards in libraries and collections ([`cards`]); what they do is told in events, and the other contexts
//! ([`analytics`], [`feeds`], [`notifications`], [`recommendations`], [`search`]) act on them, each in its own
//! handlers, its own tables and, if you like, its own process:
//!
//! ```text
//! library                                 web and worker in one process
//! library web                             the HTTP API alone
//! library worker --group notifications    the handlers of one group
//! library demo                            plays every scenario, and checks the outcome
//! ```
//!
//! All of it runs on a SQLite file or, told by `DATABASE_URL`, on PostgreSQL. Told by `EVENTS_TRANSPORT`, a broker carries
//! the events from web to workers, and each has a database of its own.

#![expect(unreachable_pub, reason = "in a program, `pub` says what a context offers to the others")]

mod analytics;
mod app;
mod broker;
mod cards;
mod carriers;
mod command;
mod curators;
mod database;
mod demo;
mod feeds;
mod layout;
mod notifications;
mod peer;
mod problem;
mod recommendations;
mod search;
mod serve;
#[cfg(test)]
mod tests;
mod web;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use command::{Command, Environment, Parsed};

#[tokio::main]
async fn main() -> ExitCode {
    let command = match Command::parse(std::env::args_os(), &Environment::of_process()) {
        Ok(Parsed::Run(command)) => command,
        Ok(Parsed::Print(text)) => {
            say(&text);
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            complain(&format!("{mistake}\nTry `library --help`."));
            return ExitCode::from(2);
        }
    };
    let done = match command {
        Command::Serve(options) => serve::run(*options).await,
        Command::Drain(place) => serve::drain(&place).await,
        Command::Demo(place, broker) => demo::run(&place, broker.as_ref()).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Prints a line. Nobody reading it is no reason to stop.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn complain(text: &str) {
    eprintln!("library: {text}");
}
