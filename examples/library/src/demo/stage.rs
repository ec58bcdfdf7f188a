//! What the scenarios are played on: sends requests, waits for handlers, checks what HTTP clients see, and prints.

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{client::Client, journal::Journal};
use crate::say;

/// How long anything may take. It is milliseconds, but the machine may be busy.
const LIMIT: Duration = Duration::from_secs(30);

/// The same once something is missing: what follows from it is not waited for as long.
const SHORT: Duration = Duration::from_secs(2);

/// Lines are broken here.
const WIDTH: usize = 96;

pub(super) struct Stage {
    client: Client,
    journal: Journal,
    scenarios: u32,
    /// The journal's length when the scenario began.
    mark: usize,
    deliveries: usize,
    seen: Vec<String>,
    missing: Vec<String>,
}

impl Stage {
    pub(super) fn new(client: Client, journal: Journal) -> Self {
        Self { client, journal, scenarios: 0, mark: 0, deliveries: 0, seen: Vec::new(), missing: Vec::new() }
    }

    /// Begins a scenario.
    pub(super) fn scenario(&mut self, title: &str) {
        self.scenarios += 1;
        self.mark = self.journal.len();
        say(&format!("{}  {title}", self.scenarios));
    }

    /// Sends a request that must be carried out; returns the `id` in the answer, if there is one.
    pub(super) async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<String, Box<dyn Error>> {
        let answer = self.client.send(method, path, body.map(|body| body.to_string())).await?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("{method} {path} was answered with {}: {}", answer.status, answer.body).into());
        }
        Ok(answer.body["id"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until each of these handlers is done with the scenario's events, and prints what they did.
    pub(super) async fn handled_by(&mut self, handlers: &[&str], times: usize) {
        let entries = self.journal.handled(self.mark, handlers.len() * times, self.limit()).await;
        for handler in handlers {
            let done = entries.iter().filter(|entry| entry.handler == *handler && entry.error.is_none()).count();
            self.deliveries += done;
            if done != times {
                self.missing.push(format!("handler `{handler}` handled {done} of {times} events"));
            }
        }
        // One line for what a handler did alike: its successes by attempt, its failures by their reason.
        let mut lines: BTreeMap<_, (usize, Duration)> = BTreeMap::new();
        for entry in &entries {
            let line = lines.entry((&entry.handler, entry.attempt, &entry.error)).or_default();
            *line = (line.0 + 1, line.1.max(entry.after));
        }
        for ((handler, attempt, error), (count, after)) in lines {
            let (group, name) = handler.split_once('.').unwrap_or(("", handler));
            let note = match error {
                Some(error) => format!("failed: {error}"),
                None if attempt > 1 => format!("attempt {attempt}"),
                None if count > 1 => format!("{count} events"),
                None => String::new(),
            };
            let line = format!("   {group:<16} {name:<22} {:>7.1} ms  {note}", after.as_secs_f64() * 1000.0);
            say(line.trim_end());
        }
    }

    /// Waits until what a client sees is as it must be.
    pub(super) async fn sees(
        &mut self,
        what: &str,
        path: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + self.limit();
        loop {
            let answer = self.client.get(path).await?;
            if answer.status == 200 && holds(&answer.body) {
                self.seen.push(what.to_owned());
                return Ok(());
            }
            if Instant::now() > until {
                self.missing.push(format!("{what} (GET {path} says {})", answer.body));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a request that must be refused in this way.
    pub(super) async fn refused(
        &mut self,
        request: (&str, &str),
        body: Option<&str>,
        expected: (u16, &str),
    ) -> Result<(), Box<dyn Error>> {
        let (method, path) = request;
        let answer = self.client.send(method, path, body.map(str::to_owned)).await?;
        let code = answer.body["error"].as_str().unwrap_or_default();
        let mut detail: String = answer.body["detail"].as_str().unwrap_or_default().chars().take(72).collect();
        if detail.len() == 72 {
            detail.push('…');
        }
        say(&format!("   {} {code:<18} {detail}", answer.status));
        if (answer.status, code) != expected {
            self.missing.push(format!("{method} {path} must be refused with {expected:?}"));
        }
        Ok(())
    }

    fn limit(&self) -> Duration {
        if self.missing.is_empty() { LIMIT } else { SHORT }
    }

    /// Ends a scenario: says what was seen.
    pub(super) fn end(&mut self) {
        let mut line = String::new();
        for what in std::mem::take(&mut self.seen) {
            if line.chars().count() + what.len() > WIDTH {
                say(&line);
                line.clear();
            }
            line.push_str(if line.is_empty() { "   ✓ " } else { " · " });
            line.push_str(&what);
        }
        say(&format!("{line}\n"));
    }

    /// The last word.
    pub(super) fn finish(self) -> Result<(), Box<dyn Error>> {
        if !self.missing.is_empty() {
            return Err(format!("the demo failed; missing:\n  - {}", self.missing.join("\n  - ")).into());
        }
        say(&format!("✓ Everything was delivered: {} deliveries, none lost, none given up.\n", self.deliveries));
        say("For real: `cargo run -p library` serves http://127.0.0.1:8080 and runs all handlers;");
        say("          `cargo run -p library -- web` and `-- worker --group search` do it in processes of their own.");
        Ok(())
    }
}
