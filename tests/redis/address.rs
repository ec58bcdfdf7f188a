//! Addresses: passwords, hosts, TLS, options; and that no password is ever told.

use domain_events::{
    ErrorKind,
    testkit::server::RedisServer,
    transport::{Transport, connect},
};

use super::common::*;

/// What goes wrong with everything that can be asked of a transport at this address.
async fn errors(transport: &dyn Transport) -> Vec<domain_events::Error> {
    let subscription = subscription("notes.tell", &["Moved"], "n1");
    vec![
        within("connecting", transport.publisher()).await.map(|_| ()).unwrap_err(),
        within("ensuring", transport.ensure(&subscription)).await.unwrap_err(),
        within("subscribing", transport.subscribe(&subscription)).await.map(|_| ()).unwrap_err(),
    ]
}

#[tokio::test]
async fn a_wrong_password_is_said_and_never_told() {
    let server = RedisServer::with_password("open-sesame");
    let right = open(&server.url(&prefix()));
    assert!(!format!("{right:?} {}", right.address()).contains("sesame"));
    let inbound = join(&*right, &subscription("notes.tell", &["Moved"], "n1")).await;
    publish(&*right, &messages(10, 2)).await;
    assert_in_order(&handle(&*inbound, 10).await, 2, 5);

    for url in [server.url(&prefix()), server.pubsub_url(&prefix())] {
        let wrong = open(&url.replace("open-sesame", "wrong-horse"));
        let missing = open(&url.replace(":open-sesame@", ""));
        for error in errors(&*wrong).await {
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            let text = format!("{error} {error:?} {wrong:?}");
            assert!(text.contains("password") && !text.contains("horse"), "{text}");
        }
        if !url.contains("pubsub") {
            for error in errors(&*missing).await {
                assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
                assert!(error.to_string().contains("wants a password"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_may_come_later() {
    let closed = format!("redis://user:secret@127.0.0.1:{}/0", unused_port());
    for url in [closed.as_str(), "redis://user:secret@no-such-host.invalid/0"] {
        let transport = open(url);
        for error in errors(&*transport).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            let text = format!("{error} {error:?} {transport:?}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}

/// A port that was free a moment ago.
fn unused_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn tls_works_with_an_authority_of_ones_own_and_not_without() {
    let server = RedisServer::with_tls();
    let transport = open(&server.url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    publish(&*transport, &messages(100, 10)).await;
    assert_in_order(&handle(&*inbound, 100).await, 10, 10);

    let url = server.url(&prefix());
    let untrusted = open(url.split("&ca=").next().unwrap());
    for error in errors(&*untrusted).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("ca="), "{error}");
    }
    let error = connect("rediss://h?ca=/no/such/file.pem").unwrap_err();
    assert!(error.to_string().contains("/no/such/file.pem"), "{error}");
    let error = connect(&url.replace("rediss", "redis")).unwrap_err();
    assert!(error.to_string().contains("no TLS"), "{error}");
}

#[tokio::test]
async fn all_use_the_same_number_of_shards_or_none() {
    let server = RedisServer::shared();
    let prefix = prefix();
    publish(&*open(&format!("{}&shards=3", server.url(&prefix))), &messages(30, 10)).await;
    // One that does not say finds out.
    let silent = open(&server.url(&prefix));
    let inbound = join(&*silent, &subscription("notes.tell", &["Moved"], "n1")).await;
    assert_in_order(&handle(&*inbound, 30).await, 10, 3);
    for error in errors(&*open(&format!("{}&shards=4", server.url(&prefix)))).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("`shards=4`") && error.to_string().contains("with 3"), "{error}");
    }
    for wrong in ["shards=0", "shards=257", "shards=many", "keep=-1"] {
        assert_eq!(connect(&format!("redis://h?{wrong}")).unwrap_err().kind(), ErrorKind::Configuration, "{wrong}");
    }
}
