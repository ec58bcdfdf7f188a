//! What the benchmarks share: the domain they measure with, and how two things are compared within one run.

use std::{fs, path::Path, time::Duration};

use chrono::{DateTime, Utc};
use criterion::Criterion;
use domain_events::prelude::*;

/// How often two things are measured in turn; the ratio is the median of so many.
pub const ROUNDS: usize = 7;

/// About 300 bytes as JSON.
#[derive(Debug, Clone, DomainEvent)]
#[event(aggregate = Card)]
pub struct CardAddedToLibraryEvent {
    #[event(aggregate_id)]
    pub card_id: String,
    pub curator_id: String,
    pub card_type: String,
    pub url: String,
    pub note: String,
    #[event(occurred_at)]
    pub occurred_at: DateTime<Utc>,
}

#[aggregate_root]
pub struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

impl Card {
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), events: PendingEvents::default() }
    }

    pub fn add_to_library(&mut self) {
        self.raise(event(&self.id));
    }
}

/// An event of the canonical size.
pub fn event(card: &str) -> CardAddedToLibraryEvent {
    CardAddedToLibraryEvent::new(
        card.to_owned(),
        "did:plc:3danwc67lo7obz2fmdg6gxcr".to_owned(),
        "url".to_owned(),
        "https://example.com/articles/2026/why-domain-events-matter-in-practice?ref=library".to_owned(),
        "worth reading twice; the part about ordering is the best explanation I have seen so far".to_owned(),
    )
}

/// A folder that is gone when dropped.
pub struct Folder(std::path::PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("domain-events-bench-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Criterion, set for many short measurements in turn.
pub fn criterion(measure: Duration) -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(measure).sample_size(20)
}

/// Measures two things in turn, [`ROUNDS`] times, and prints the ratio of the second to the first.
pub fn compare(
    criterion: &mut Criterion,
    title: &str,
    goal: &str,
    (base_name, mut base): (&str, impl FnMut(&mut criterion::Bencher<'_>)),
    (ours_name, mut ours): (&str, impl FnMut(&mut criterion::Bencher<'_>)),
) {
    let mut ratios = Vec::new();
    let mut times = (Vec::new(), Vec::new());
    println!("\n{title}, {ROUNDS} rounds");
    // A group of its own: where a name comes twice in a run, criterion writes the second one's figures elsewhere.
    let mut group = criterion.benchmark_group(title);
    for round in 1..=ROUNDS {
        let (base_id, ours_id) = (format!("{base_name} {round}"), format!("{ours_name} {round}"));
        group.bench_function(&base_id, &mut base);
        group.bench_function(&ours_id, &mut ours);
        let (base, ours) = (median(title, &base_id), median(title, &ours_id));
        ratios.push(ours / base);
        times.0.push(base);
        times.1.push(ours);
    }
    group.finish();
    report(title, goal, (base_name, times.0), (ours_name, times.1), ratios);
}

/// The same for what waits for a disk or a server, whose speed changes from second to second: the two take turns, each of
/// them once, so that both meet the same seconds. A round's ratio is that of the medians of so many turns.
pub fn compare_turns(
    title: &str,
    goal: &str,
    turns: usize,
    (base_name, mut base): (&str, impl FnMut() -> Duration),
    (ours_name, mut ours): (&str, impl FnMut() -> Duration),
) {
    let mut ratios = Vec::new();
    let mut times = (Vec::new(), Vec::new());
    println!("\n{title}, {ROUNDS} rounds");
    for _ in 0..ROUNDS {
        let mut round = (Vec::new(), Vec::new());
        for turn in 0..turns {
            // Who comes first has the caches the other one left.
            if turn % 2 == 0 {
                round.0.push(base());
            }
            round.1.push(ours());
            if turn % 2 == 1 {
                round.0.push(base());
            }
        }
        let [base, ours] = [round.0, round.1].map(|mut times| {
            times.sort();
            percentile(&times, 0.5).as_nanos() as f64
        });
        ratios.push(ours / base);
        times.0.push(base);
        times.1.push(ours);
    }
    report(title, goal, (base_name, times.0), (ours_name, times.1), ratios);
}

fn report(
    title: &str,
    goal: &str,
    (base_name, base): (&str, Vec<f64>),
    (ours_name, ours): (&str, Vec<f64>),
    ratios: Vec<f64>,
) {
    let (base, ours, ratio) = (Spread::of(base), Spread::of(ours), Spread::of(ratios));
    println!(
        "\n| {title} | {base_name} {} | {ours_name} {} | ratio {ratio} | goal {goal} |\n",
        nanos(base.middle),
        nanos(ours.middle),
    );
}

/// What was measured several times: printed as the median, with the least and the greatest beside it.
pub struct Spread {
    pub least: f64,
    pub middle: f64,
    pub greatest: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        Self { least: values[0], middle: values[last / 2], greatest: values[last] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} to {:.2})", self.middle, self.least, self.greatest)
    }
}

/// The median, in nanoseconds, that criterion has just written down.
fn median(group: &str, id: &str) -> f64 {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let [group, id] = [group, id].map(|name| name.replace(['?', '"', '/', '\\', '*', '<', '>', ':', '|', '^'], "_"));
    let file = Path::new(&target).join("criterion").join(group).join(id).join("new/estimates.json");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let estimates: serde_json::Value = serde_json::from_str(&text).expect("criterion writes JSON");
    estimates["median"]["point_estimate"].as_f64().expect("a median")
}

/// A time in the unit a person reads best.
pub fn nanos(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{n:.1} ns"),
        n if n < 1e6 => format!("{:.1} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}

/// The `part` (0.5, 0.99) of sorted durations.
pub fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let index = ((sorted.len() - 1) as f64 * part).round() as usize;
    sorted[index]
}
