//! TLS and credentials: what is wrong is said, and no password is ever shown.

use std::sync::Arc;

use domain_events::{
    Error, ErrorKind, EventId,
    testkit::server::KafkaMock,
    transport::{Transport, connect},
};

use crate::{
    certificates::certificates,
    front::{Front, acceptor},
    kit::{OPTIONS, handle, message, publish, subscription},
};

const EVENT: &str = "CardAddedToLibraryEvent";

/// All the way: published, and taken in.
async fn carries(transport: &Arc<dyn Transport>) {
    let subscription = subscription("library.index", &[EVENT]);
    transport.ensure(&subscription).await.unwrap();
    let inbound = transport.subscribe(&subscription).await.unwrap();
    publish(transport, &[message(EVENT, "c", 1)]).await;
    assert_eq!(handle(&inbound, 1).await, ["c/1"]);
    inbound.close().await.unwrap();
}

/// What each of the doors says to somebody who is not let in.
async fn refusals(transport: &Arc<dyn Transport>) -> [Error; 3] {
    let subscription = subscription("library.index", &[EVENT]);
    [
        transport.publisher().await.err().unwrap(),
        transport.ensure(&subscription).await.unwrap_err(),
        transport.subscribe(&subscription).await.err().unwrap(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_a_private_authority_and_no_other_is_trusted() {
    let folder = std::env::temp_dir().join(format!("domain-events-certificates-{}", EventId::generate()));
    certificates(&folder);
    let mock = KafkaMock::start();
    let front = Front::start(&mock, Some(acceptor(&folder)), None).await;
    let at = |options: &str| connect(&format!("kafka+ssl://127.0.0.1:{}?{OPTIONS}{options}", front.port)).unwrap();
    carries(&at(&format!("&ca={}", folder.join("ca.pem").display()))).await;

    for error in refusals(&at("")).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    std::fs::write(folder.join("none.pem"), "no certificate").unwrap();
    let none = folder.join("none.pem").display().to_string();
    for (file, said) in [("/no/such.pem", "`ca=/no/such.pem` can't be read"), (&*none, "ssl.ca.location")] {
        for error in refusals(&at(&format!("&ca={file}"))).await {
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_a_clear_error_without_the_password() {
    let mock = KafkaMock::start();
    let front = Front::start(&mock, None, Some(("library", "s3cr3t/@"))).await;
    let at = |credentials: &str| connect(&format!("kafka://{credentials}127.0.0.1:{}?{OPTIONS}", front.port)).unwrap();
    let right = at("library:s3cr3t%2F%40@");
    carries(&right).await;
    assert!(!format!("{right:?} {}", right.address()).contains("s3cr3t"), "{right:?}");

    let wrong = at("library:wr0ng@");
    assert!(!format!("{wrong:?} {}", wrong.address()).contains("wr0ng"), "{wrong:?}");
    for error in refusals(&wrong).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("check user and password"), "{error}");
        assert!(!format!("{error} {error:?} {error:#?}").contains("wr0ng"), "{error:?}");
    }
}
