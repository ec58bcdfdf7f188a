//! Keeps books of what was done through the API, and compares them with what the API shows: every effect of every
//! event, once.
//!
//! Ada's and Bob's libraries are public and Grace follows both; Linus's and Eve's are private.

use std::{collections::BTreeMap, ops::Range};

use serde_json::{Value, json};

use crate::program::{Api, comes_true};

const CURATORS: [(&str, bool); 5] = [("ada", true), ("bob", true), ("eve", false), ("grace", false), ("linus", false)];

pub(crate) struct Books {
    api: Api,
    /// Card ids by what makes their address.
    cards: BTreeMap<String, String>,
    /// Who keeps what, in the order they took it.
    kept: Vec<(String, String)>,
    /// Cards added and removed, by curator.
    activity: BTreeMap<String, [u64; 2]>,
    /// Whoever follows Ada and Bob reads and is told of these, ever after.
    announced: Vec<(String, String)>,
    /// Grace's, by name.
    collections: Vec<String>,
    /// Cards in them.
    collected: Vec<String>,
}

impl Books {
    pub(crate) fn open(api: Api) -> Self {
        for (id, public) in CURATORS {
            api.send("POST", "/curators", Some(json!({ "id": id, "name": id, "public": public })));
        }
        for id in ["ada", "bob"] {
            api.send("PUT", &format!("/curators/{id}/followers/grace"), None);
        }
        Self {
            api,
            cards: BTreeMap::new(),
            kept: Vec::new(),
            activity: CURATORS.iter().map(|(id, _)| ((*id).to_owned(), [0, 0])).collect(),
            announced: Vec::new(),
            collections: Vec::new(),
            collected: Vec::new(),
        }
    }

    /// A curator finds new cards.
    pub(crate) fn add(&mut self, curator: &str, numbers: Range<usize>) {
        for number in numbers {
            let card = format!("{curator}/{number}");
            let made = self.api.send("POST", "/cards", Some(json!({ "url": url(&card) })));
            self.cards.insert(card.clone(), made["id"].as_str().expect("an id").to_owned());
            self.keep(curator, &card);
        }
    }

    /// A curator takes a card that is there.
    pub(crate) fn keep(&mut self, curator: &str, card: &str) {
        self.api.send("PUT", &format!("/curators/{curator}/library/{}", self.cards[card]), None);
        self.kept.push((curator.to_owned(), card.to_owned()));
        self.activity.get_mut(curator).expect("a curator")[0] += 1;
        if ["ada", "bob"].contains(&curator) {
            self.announced.push((curator.to_owned(), url(card)));
        }
    }

    /// A curator gives a card of their own up.
    pub(crate) fn give_up(&mut self, curator: &str, number: usize) {
        let card = format!("{curator}/{number}");
        self.api.send("DELETE", &format!("/curators/{curator}/library/{}", self.cards[&card]), None);
        self.kept.retain(|kept| *kept != (curator.to_owned(), card.clone()));
        self.activity.get_mut(curator).expect("a curator")[1] += 1;
    }

    /// Grace begins a collection; returns its id.
    pub(crate) fn begin_collection(&mut self, name: &str) -> String {
        let made = self.api.send("POST", "/collections", Some(json!({ "curator": "grace", "name": name })));
        self.collections.push(name.to_owned());
        made["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn put_into(&mut self, collection: &str, card: &str) {
        self.api.send("PUT", &format!("/collections/{collection}/cards/{}", self.cards[card]), None);
        self.collected.push(self.cards[card].clone());
    }

    pub(crate) fn take_out_of(&mut self, collection: &str, card: &str) {
        self.api.send("DELETE", &format!("/collections/{collection}/cards/{}", self.cards[card]), None);
        self.collected.retain(|collected| *collected != self.cards[card]);
    }

    pub(crate) fn look(&self, path: &str) -> Value {
        self.api.get(path)
    }

    /// Waits until the API shows what it must, in every detail.
    #[track_caller]
    pub(crate) fn settle(&self) {
        self.settle_but_for("");
    }

    /// The same, leaving one path out.
    #[track_caller]
    pub(crate) fn settle_but_for(&self, path: &str) {
        let wrong = || self.wrong().into_iter().filter(|(at, ..)| at != path).collect::<Vec<_>>();
        if !comes_true(|| wrong().is_empty()) {
            assert_eq!(wrong(), [], "path, what it shows, what it must show");
        }
    }

    /// The API shows what it must, now.
    #[track_caller]
    pub(crate) fn check(&self) {
        assert_eq!(self.wrong(), [], "path, what it shows, what it must show");
    }

    /// Where the API shows something else: the path, what it shows, and what it must show.
    fn wrong(&self) -> Vec<(String, Vec<String>, Vec<String>)> {
        let shown = self.expected().into_iter().map(|(path, must)| (lines(&self.api.get(&path)), path, must));
        shown.filter(|(shows, _, must)| shows != must).map(|(shows, path, must)| (path, shows, must)).collect()
    }

    /// What each context shows at which path.
    fn expected(&self) -> Vec<(String, Vec<String>)> {
        let mut expected = Vec::new();
        let mut must = |path: String, mut lines: Vec<String>| {
            lines.sort();
            expected.push((path, lines));
        };
        for (curator, [added, removed]) in &self.activity {
            let collections = if curator == "grace" { self.collections.len() } else { 0 };
            let line = format!("{added} added, {removed} removed, {collections} collections");
            must(format!("/curators/{curator}/activity"), vec![line]);
        }

        let told = self.announced.iter().map(|(curator, url)| format!("{curator} added {url} to their library"));
        let welcome = self.collections.iter().map(|name| format!("Welcome to your new collection, {name}"));
        must("/curators/grace/notifications".to_owned(), told.chain(welcome).collect());

        let keeps = |(curator, url): &(String, String)| format!("{curator} keeps {url}");
        let own = self.announced.iter().filter(|(curator, _)| curator == "bob").map(keeps);
        must("/curators/bob/feed".to_owned(), own.collect());
        // Her own stories are about the first collection only.
        let collected = self.collected.iter().map(|card| format!("grace put card {card} into {}", self.collections[0]));
        must("/curators/grace/feed".to_owned(), self.announced.iter().map(keeps).chain(collected).collect());

        let mut libraries = BTreeMap::<_, usize>::new();
        for (_, card) in &self.kept {
            *libraries.entry(card).or_default() += 1;
        }
        let hits = libraries.iter().map(|(card, count)| format!("{} in {count}", url(card)));
        must("/search?q=example.com".to_owned(), hits.collect());

        // Eve has one card, of Linus's: his other ones may please her. Neither has one of somebody else's.
        let shared = self.kept.contains(&("eve".to_owned(), "linus/0".to_owned()));
        let others = self.kept.iter().filter(|(curator, card)| shared && curator == "linus" && card != "linus/0");
        let suggested = others.map(|(_, card)| format!("{}: kept by linus", self.cards[card]));
        must("/curators/eve/recommendations".to_owned(), suggested.collect());
        // Grace had none when she began a collection: the card that two keep, and then the oldest.
        let popular = ["linus/0", "ada/0", "ada/1", "ada/2", "ada/3"].iter().filter(|_| !self.collections.is_empty());
        let suggested = popular.map(|card| format!("{}: popular", self.cards[*card]));
        must("/curators/grace/recommendations".to_owned(), suggested.collect());
        expected
    }
}

fn url(card: &str) -> String {
    format!("https://example.com/{card}")
}

/// An answer as sorted lines: order is not promised across cards, doubles are.
fn lines(answer: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |item: &Value| match item {
        Value::String(line) => line.clone(),
        story if story["at"].is_string() => text(&story["text"]),
        hit if hit["url"].is_string() => format!("{} in {}", text(&hit["url"]), hit["libraries"]),
        suggestion if suggestion["reason"].is_string() => {
            format!("{}: {}", text(&suggestion["card_id"]), text(&suggestion["reason"]))
        }
        activity => format!(
            "{} added, {} removed, {} collections",
            activity["cards_added"], activity["cards_removed"], activity["collections_created"]
        ),
    };
    let mut lines: Vec<_> = match answer {
        Value::Array(items) => items.iter().map(line).collect(),
        one => vec![line(one)],
    };
    lines.sort();
    lines
}
