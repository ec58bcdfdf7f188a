//! 19: what is not confirmed is an error; wrong addresses and credentials are told, without a password.

use std::{error::Error as _, sync::Arc, time::Duration};

use crate::{
    error::{Error, ErrorKind},
    testkit::conformance::{
        suite::LIMIT,
        transport::{
            TransportHarness, TransportSuite,
            suite::{Need, message, messages, publish, subscription},
        },
    },
    transport::{Transport, record::Unconfirmed},
};

/// A broker that is frozen or killed confirms nothing: no publish succeeds, and after a kill each says so.
pub async fn case_19_unconfirmed_is_an_error<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Confirms]) {
        return;
    }
    let kills = suite.capabilities.outlives_broker;
    let Some((suite, broker)) = suite.alone().await else { return };
    let transport = suite.open().await;
    transport.ensure(&subscription("one", &["ParcelMovedEvent"])).await.expect("a subscription can be made");
    publish(&*transport, &[message("p", 1)]).await;
    let mut publisher = transport.publisher().await.expect("the broker lets us publish");
    publisher.publish(&[message("p", 2)]).await.expect("the broker confirms");
    tokio::task::block_in_place(|| broker.freeze());
    let frozen = tokio::time::timeout(Duration::from_secs(3), publisher.publish(&messages(10, 1))).await;
    assert!(!matches!(frozen, Ok(Ok(()))), "a frozen broker has confirmed something");
    tokio::task::block_in_place(|| broker.thaw());
    if kills {
        let mut publisher = transport.publisher().await.expect("the broker lets us publish");
        publisher.publish(&[message("p", 3)]).await.expect("the broker confirms");
        tokio::task::block_in_place(|| broker.kill());
        let sent = messages(10, 1);
        let unconfirmed = tokio::time::timeout(LIMIT, publisher.publish(&sent)).await;
        let Unconfirmed { confirmed, error } =
            unconfirmed.expect("a killed broker is noticed").expect_err("a killed broker has confirmed something");
        assert_eq!(confirmed, 0, "{error}");
        assert!(error.is_temporary(), "{error:?}");
        tokio::task::block_in_place(|| broker.restart());
    }
}

/// What an attempt to use a transport comes to, both ways.
async fn errors_of(transport: &Arc<dyn Transport>) -> Vec<Error> {
    let mut errors = Vec::new();
    let publishing = async {
        let mut publisher = transport.publisher().await?;
        publisher.publish(&[message("p", 1)]).await.map_err(|unconfirmed| unconfirmed.error)
    };
    let limit = "an address that leads nowhere is told within the limit";
    let published = tokio::time::timeout(LIMIT, publishing).await.expect(limit);
    errors.push(published.expect_err("the broker was never reached, and something was published"));
    let subscription = subscription("one", &["ParcelMovedEvent"]);
    let subscribing = async {
        transport.ensure(&subscription).await?;
        let inbound = transport.subscribe(&subscription).await?;
        inbound.receive(1).await
    };
    let subscribed = tokio::time::timeout(LIMIT, subscribing).await.expect(limit);
    errors.push(subscribed.expect_err("the broker was never reached, and somebody subscribed"));
    errors
}

/// Everything an error can be made to say.
fn told(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut cause = error.source();
    while let Some(below) = cause {
        text += &format!("\n{below}\n{below:?}");
        cause = below.source();
    }
    text
}

/// A wrong password is something that somebody has to change, and no text has it.
pub async fn case_19_refused_credentials_are_told<H: TransportHarness>(suite: TransportSuite<H>) {
    let Some((transport, password)) = suite.harness.refused().await else {
        suite.not_applicable("it has no credentials");
        return;
    };
    let debug = format!("{transport:?} {}", transport.address());
    assert!(!debug.contains(&password), "the password stands in {debug}");
    for error in errors_of(&transport).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
        assert!(!told(&error).contains(&password), "the password stands in {}", told(&error));
    }
}

/// A host that nobody knows is told by its name.
pub async fn case_19_an_unknown_host_is_told<H: TransportHarness>(suite: TransportSuite<H>) {
    let Some(transport) = suite.harness.nowhere() else {
        suite.not_applicable("it has no hosts");
        return;
    };
    for error in errors_of(&transport).await {
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Configuration), "{error:?}");
        assert!(error.to_string().contains("nowhere.invalid"), "{error:?}");
    }
}
