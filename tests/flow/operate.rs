//! What a person and a deployment do: groups, pause, redrive, discard, shutdown, new and renamed handlers.

use std::{sync::Arc, time::Duration};

use domain_events::{ErrorKind, MemoryStore, handler, prelude::*, testkit};

use crate::library::{Card, Diary, LIMIT, add, library, on, save, settle, until};

#[tokio::test]
async fn a_processor_runs_the_groups_it_is_given() {
    let diary = Diary::new();
    let events = library(&diary, &[handler!(crate::library::index), handler!(crate::library::notify)]);
    add(&events, "c1", &["alice"]).await;
    let running = events.processor().groups(["search"]).start().await.unwrap();
    until("`index` has its event", || diary.of("index").len() == 1).await;
    running.shutdown().await.unwrap();
    assert!(diary.of("notify").is_empty(), "a handler of another group ran");

    let error = events.processor().groups(["searhc"]).start().await.expect_err("there is no such group");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    for part in ["searhc", "search", "notifications"] {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
    assert!(settle(&events).await.is_empty());
    assert_eq!((diary.of("index").len(), diary.of("notify").len()), (1, 1), "the other group has lost nothing");
}

#[tokio::test]
async fn a_paused_handler_gets_nothing_until_it_is_resumed() {
    let diary = Diary::new();
    let events = library(&diary, &[handler!(crate::library::index), handler!(crate::library::notify)]);
    let running = events.processor().start().await.unwrap();
    events.admin().pause("search.index").await.unwrap();
    add(&events, "c1", &["alice", "bob"]).await;
    until("the other handler has both", || diary.of("notify").len() == 2).await;
    let missing = testkit::try_wait_until_handled(&events, Duration::from_millis(150)).await.unwrap_err().to_string();
    for part in ["search.index", "2 events behind", "paused", "resume"] {
        assert!(missing.contains(part), "`{part}` is not in: {missing}");
    }
    assert!(!missing.contains("notifications.notify"), "a handler that is through is named: {missing}");
    assert!(diary.of("index").is_empty(), "a paused handler got an event");

    events.admin().resume("search.index").await.unwrap();
    testkit::wait_until_handled(&events, LIMIT).await;
    assert_eq!(diary.of("index"), ["c1 alice", "c1 bob"]);
    let error = events.admin().pause("search.indx").await.expect_err("there is no such handler");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("search.index"), "the ones there are: {error}");
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_redriven_dead_letter_begins_with_its_first_attempt() {
    let diary = Diary::with_rule(|_, _| Err("broken".into()));
    let events = library(&diary, &[handler!(crate::library::index)]);
    let running = events.processor().start().await.unwrap();
    add(&events, "c1", &["alice"]).await;
    let dead = testkit::wait_until_settled(&events, LIMIT).await;
    assert_eq!(diary.of("index").len(), 3);

    let attempts = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&attempts);
    diary.set_rule(move |_, attempt| {
        seen.lock().unwrap().push(attempt);
        Ok(())
    });
    events.admin().redrive(dead[0].id).await.unwrap();
    testkit::wait_until_handled(&events, LIMIT).await;
    assert_eq!(*attempts.lock().unwrap(), [1]);
    let error = events.admin().redrive(dead[0].id).await.expect_err("it is no dead letter any more");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_discarded_dead_letter_is_gone() {
    let diary = Diary::with_rule(|_, _| Err(HandlerError::permanent("broken")));
    let events = library(&diary, &[handler!(crate::library::index)]);
    let running = events.processor().start().await.unwrap();
    add(&events, "c1", &["alice"]).await;
    let dead = testkit::wait_until_settled(&events, LIMIT).await;
    events.admin().discard(dead[0].id, "a test card").await.unwrap();
    testkit::wait_until_handled(&events, LIMIT).await;
    assert!(events.admin().dead_letters(None, 10).await.unwrap().is_empty());
    assert_eq!(diary.of("index").len(), 1, "a discarded delivery was made again");
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_shutdown_finishes_what_runs_and_begins_nothing() {
    let diary = Diary::new();
    let events = library(&diary, &[handler!(crate::library::index)]);
    let running = events.processor().start().await.unwrap();
    let entered = Arc::new(std::sync::Barrier::new(2));
    let barrier = Arc::clone(&entered);
    diary.set_rule(move |line, _| {
        if line == "index c1 alice" {
            // The test tells the processor to stop in here; then the handler works on for a while.
            barrier.wait();
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    add(&events, "c1", &["alice", "bob"]).await;
    tokio::task::spawn_blocking(move || entered.wait()).await.unwrap();
    running.shutdown().await.unwrap();
    let handled = diary.of("index");
    assert_eq!(handled[0], "c1 alice", "what ran was finished");
    assert!(handled.len() <= 2, "{handled:?}");
    let owners: Vec<_> = events.admin().subscriptions().await.unwrap().into_iter().map(|state| state.owner).collect();
    assert_eq!(owners, [None], "the lease was given back");

    diary.set_rule(|_, _| Ok(()));
    assert!(settle(&events).await.is_empty());
    assert_eq!(diary.of("index"), ["c1 alice", "c1 bob"], "each once: what was finished is not made again");
}

#[tokio::test]
async fn run_ends_when_its_signal_comes() {
    let diary = Diary::new();
    let events = library(&diary, &[handler!(crate::library::index)]);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = tokio::spawn(events.processor().run(async move { drop(stopped.await) }));
    add(&events, "c1", &["alice"]).await;
    testkit::wait_until_handled(&events, LIMIT).await;
    stop.send(()).unwrap();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn drain_delivers_what_there_is_and_returns() {
    let diary = Diary::with_rule(|_, attempt| if attempt < 3 { Err("not yet".into()) } else { Ok(()) });
    let events = library(&diary, &[handler!(crate::library::index)]);
    add(&events, "c1", &["alice"]).await;
    events.processor().drain().await.unwrap();
    assert_eq!(diary.of("index").len(), 3);
    testkit::wait_until_handled(&events, Duration::ZERO).await;
}

#[tokio::test]
async fn a_new_handler_begins_at_the_beginning_or_with_what_is_new() {
    let (diary, store) = (Diary::new(), MemoryStore::new());
    let before = on(store.clone(), &diary, &[]).build().unwrap();
    add(&before, "c1", &["alice"]).await;
    let events = on(store, &diary, &[handler!(crate::library::index), handler!(crate::library::feed)]).build().unwrap();
    let running = events.processor().start().await.unwrap();
    add(&events, "c1", &["bob"]).await;
    testkit::wait_until_handled(&events, LIMIT).await;
    assert_eq!(diary.of("index"), ["c1 alice", "c1 bob"]);
    assert_eq!(diary.of("feed"), ["c1 bob"], "`start = \"now\"`");
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_renamed_handler_takes_its_position_over() {
    let (diary, store) = (Diary::new(), MemoryStore::new());
    let before = on(store.clone(), &diary, &[handler!(crate::library::notify)]).build().unwrap();
    add(&before, "c1", &["alice"]).await;
    assert!(settle(&before).await.is_empty());
    let after = on(store, &diary, &[handler!(crate::library::write_letter)]).build().unwrap();
    add(&after, "c1", &["bob"]).await;
    assert!(settle(&after).await.is_empty());
    assert_eq!((diary.of("notify"), diary.of("write_letter")), (vec!["c1 alice".into()], vec!["c1 bob".into()]));
}

#[tokio::test]
async fn an_event_that_nobody_takes_moves_every_position() {
    let diary = Diary::new();
    let events = library(&diary, &[handler!(crate::library::index)]);
    let mut card = Card::new("c1");
    card.remove_from_library("alice");
    save(&events, &mut card).await.unwrap();
    assert!(settle(&events).await.is_empty());
    assert_eq!(events.admin().subscriptions().await.unwrap()[0].lag, 0);
    assert!(diary.lines().is_empty());
}

/// What each refusal must say.
fn assert_refused(error: &domain_events::Error, parts: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

#[tokio::test]
async fn a_retired_handler_is_forgotten_once_nobody_has_it() {
    let (diary, store) = (Diary::with_rule(|line, _| refuse_bob(line)), MemoryStore::new());
    let before = on(store.clone(), &diary, &[handler!(crate::library::index)]).build().unwrap();
    add(&before, "c1", &["alice", "bob"]).await;
    let dead = settle(&before).await;
    let error = before.admin().forget("search.index").await.expect_err("this program has it");
    assert_refused(&error, &["search.index", "is in this program", "library.rs:", "pause"]);

    let after = on(store, &diary, &[handler!(crate::library::notify)]).build().unwrap();
    assert!(settle(&after).await.is_empty());
    let running = before.processor().start().await.unwrap();
    add(&before, "c2", &["alice"]).await;
    until("the older release is at work", || diary.of("index").len() == 3).await;
    let error = after.admin().forget("search.index").await.expect_err("the older release is at work");
    assert_refused(&error, &["search.index", "live process `pid-", "stop it first"]);
    running.shutdown().await.unwrap();

    let error = after.admin().forget("search.index").await.expect_err("it has a dead letter");
    assert_refused(&error, &["1 dead letter;", "discard", "forget_with_dead_letters"]);
    after.admin().discard(dead[0].id, "nobody searches any more").await.unwrap();
    after.admin().forget("search.index").await.unwrap();
    let left: Vec<_> = after.admin().subscriptions().await.unwrap().into_iter().map(|state| state.id).collect();
    assert_eq!(left.iter().map(|id| &*id.handler).collect::<Vec<_>>(), ["notifications.notify"]);
    let error = after.admin().forget("search.index").await.expect_err("there is none any more");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

    assert_eq!(settle(&before).await.len(), 1, "it is a new one if it comes back, and begins at its start");
    assert_eq!(diary.of("index").len(), 6, "the whole log again: {:?}", diary.of("index"));
    after.admin().forget_with_dead_letters("search.index").await.unwrap();
    assert!(after.admin().dead_letters(None, 10).await.unwrap().is_empty());
}

fn refuse_bob(line: &str) -> Result<(), HandlerError> {
    if line == "index c1 bob" { Err(HandlerError::permanent("no such page")) } else { Ok(()) }
}

#[tokio::test]
async fn a_position_that_is_still_to_be_taken_over_is_not_forgotten() {
    let (diary, store) = (Diary::new(), MemoryStore::new());
    let before = on(store.clone(), &diary, &[handler!(crate::library::notify)]).build().unwrap();
    add(&before, "c1", &["alice"]).await;
    assert!(settle(&before).await.is_empty());
    let after = on(store.clone(), &diary, &[handler!(crate::library::write_letter)]).build().unwrap();
    let error = after.admin().forget("notifications.notify").await.expect_err("its heir has not run yet");
    assert_refused(&error, &["letters.write_letter", "alias", "notifications.notify"]);

    assert!(settle(&after).await.is_empty());
    // An older release has made it again: now both have a position, and the alias is not looked at any more.
    assert!(settle(&before).await.is_empty());
    after.admin().forget("notifications.notify").await.unwrap();
    let left: Vec<_> = after.admin().subscriptions().await.unwrap().into_iter().map(|state| state.id).collect();
    assert_eq!(left.iter().map(|id| &*id.handler).collect::<Vec<_>>(), ["letters.write_letter"]);
}
