//! A card: one web page, kept in the libraries of any number of curators.

use std::{collections::BTreeSet, fmt, str::FromStr};

use domain_events::prelude::*;
use serde::{Deserialize, Serialize};

use super::{CardAddedToLibraryEvent, CardId, CardRemovedFromLibraryEvent, WebUrl};
use crate::curators::CuratorId;

/// What a card holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CardType {
    Url,
    Note,
}

/// One card and the libraries it stands in.
#[aggregate_root]
#[derive(Debug)]
pub struct Card {
    #[aggregate(id)]
    id: CardId,
    card_type: CardType,
    url: Option<WebUrl>,
    libraries: BTreeSet<CuratorId>,
    /// Grows by one with every event; a commit on top of a stale version is refused.
    #[aggregate(version)]
    version: u64,
    events: PendingEvents,
}

/// Why a card does not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    #[error("card `{card}` is already in the library of `{curator}`")]
    AlreadyInLibrary { card: CardId, curator: CuratorId },
    #[error("card `{card}` is not in the library of `{curator}`")]
    NotInLibrary { card: CardId, curator: CuratorId },
}

impl Card {
    /// A card for a web page, in nobody's library yet.
    pub fn for_url(url: WebUrl) -> Self {
        Self::stored(CardId::generate(), CardType::Url, Some(url), BTreeSet::new(), 0)
    }

    /// A card as the repository knows it.
    pub(super) fn stored(
        id: CardId,
        card_type: CardType,
        url: Option<WebUrl>,
        libraries: BTreeSet<CuratorId>,
        version: u64,
    ) -> Self {
        Self { id, card_type, url, libraries, version, events: PendingEvents::default() }
    }

    /// Takes the card into a curator's library.
    pub fn add_to_library(&mut self, curator: &CuratorId) -> Result<(), CardError> {
        if !self.libraries.insert(curator.clone()) {
            return Err(CardError::AlreadyInLibrary { card: self.id.clone(), curator: curator.clone() });
        }
        // Only events declared with `aggregate = Card` can be raised here: anything else does not compile.
        self.raise(CardAddedToLibraryEvent::new(self.id.clone(), curator.clone(), self.card_type, self.url.clone()));
        Ok(())
    }

    /// Takes the card out of a curator's library.
    pub fn remove_from_library(&mut self, curator: &CuratorId) -> Result<(), CardError> {
        if !self.libraries.remove(curator) {
            return Err(CardError::NotInLibrary { card: self.id.clone(), curator: curator.clone() });
        }
        self.raise(CardRemovedFromLibraryEvent::new(self.id.clone(), curator.clone()));
        Ok(())
    }

    pub fn id(&self) -> &CardId {
        &self.id
    }

    pub fn card_type(&self) -> CardType {
        self.card_type
    }

    pub fn url(&self) -> Option<&WebUrl> {
        self.url.as_ref()
    }

    pub fn libraries(&self) -> &BTreeSet<CuratorId> {
        &self.libraries
    }

    pub fn version(&self) -> u64 {
        self.version
    }
}

impl fmt::Display for CardType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "url",
            Self::Note => "note",
        })
    }
}

impl FromStr for CardType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "url" => Ok(Self::Url),
            "note" => Ok(Self::Note),
            other => Err(format!("there is no card type `{other}`")),
        }
    }
}
