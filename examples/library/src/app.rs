//! The composition root: gives handlers the services they ask for, and checks the wiring.

use std::sync::Arc;

use domain_events::{DomainEvents, Services, SqlStore};

use crate::{
    analytics::{self, Counters},
    cards::{Collections, Library},
    curators::{AskWeb, CuratorId, Profile, ProfileService, Profiles},
    database::Database,
    feeds::{self, FeedService, Stories},
    layout::Layout,
    notifications::{self, Inbox, NotificationService},
    problem::Problem,
    recommendations::{self, RecommendationEngine, TasteEngine},
    search::{self, SearchIndex, TableIndex},
};

/// All groups of handlers: what `worker --group` can choose from.
pub const GROUPS: [&str; 5] =
    [analytics::GROUP, feeds::GROUP, notifications::GROUP, recommendations::GROUP, search::GROUP];

/// Everything that requests are answered with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub events: DomainEvents<SqlStore>,
    pub layout: Layout,
    pub profiles: Arc<Profiles>,
    /// The profiles, wherever they are.
    curators: Arc<dyn ProfileService>,
    pub library: Library,
    pub collections: Collections,
    pub counters: Arc<Counters>,
    pub inbox: Arc<Inbox>,
    pub stories: Arc<Stories>,
    pub index: Arc<TableIndex>,
    pub taste: Arc<TasteEngine>,
}

impl App {
    /// The application on this database.
    pub fn new(database: Database, layout: Layout) -> domain_events::Result<Self> {
        Self::with_notifications(database, layout, |inbox| inbox)
    }

    /// The application with another way of bringing notifications to people.
    pub fn with_notifications(
        database: Database,
        layout: Layout,
        notifications: impl FnOnce(Arc<Inbox>) -> Arc<dyn NotificationService>,
    ) -> domain_events::Result<Self> {
        let profiles = Arc::new(Profiles::new(database.clone()));
        let inbox = Arc::new(Inbox::new(database.clone()));
        let stories = Arc::new(Stories::new(database.clone()));
        let index = Arc::new(TableIndex::new(database.clone()));
        let taste = Arc::new(TasteEngine::new(database.clone()));
        let curators: Arc<dyn ProfileService> = match layout.web() {
            Some(web) => Arc::new(AskWeb::at(web.clone())),
            None => profiles.clone(),
        };
        let services = Services::new()
            .with::<dyn ProfileService>(curators.clone())
            .with::<dyn NotificationService>(notifications(inbox.clone()))
            .with::<dyn FeedService>(stories.clone())
            .with::<dyn SearchIndex>(index.clone())
            .with::<dyn RecommendationEngine>(taste.clone());

        // No handler is named here: they registered themselves, and `build` says what any of them lacks.
        let events = DomainEvents::builder().store(database.store()).services(services).build()?;
        for warning in events.warnings() {
            tracing::warn!("{warning}");
        }
        Ok(Self {
            library: Library::new(database.clone(), events.clone()),
            collections: Collections::new(database.clone(), events.clone()),
            counters: Arc::new(Counters::new(database)),
            events,
            layout,
            profiles,
            curators,
            inbox,
            stories,
            index,
            taste,
        })
    }

    /// The profile of a curator who must exist.
    pub async fn known(&self, curator: &CuratorId) -> Result<Profile, Problem> {
        self.curators.profile(curator).await?.ok_or_else(|| Problem::unknown("curator", curator))
    }
}
