//! Who may connect, and to whom: credentials, certificates, names that lead nowhere; passwords are never shown.

use domain_events::{
    Error, ErrorKind,
    testkit::server::RabbitServer,
    transport::{Transport, connect, record::Fate},
};

use super::stage::{message, publish, receive, settle, subscription, within};

const SECRET: &str = "sesame-0815";

/// What each way of connecting says.
async fn errors(transport: &dyn Transport) -> Vec<Error> {
    let wanted = subscription("feeds.show", &["CardAdded"]);
    vec![
        within(transport.publisher()).await.err().unwrap(),
        within(transport.ensure(&wanted)).await.unwrap_err(),
        within(transport.subscribe(&wanted)).await.err().unwrap(),
        within(transport.dead_letters("feeds.show", 1)).await.unwrap_err(),
        within(transport.redrive("feeds.show", "x")).await.unwrap_err(),
    ]
}

async fn round_trip(transport: &dyn Transport) {
    let wanted = subscription("feeds.show", &["CardAdded"]);
    within(transport.ensure(&wanted)).await.unwrap();
    publish(transport, &[message("CardAdded", "c1", 0)]).await;
    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    settle(&*inbound, &receive(&*inbound, 1).await, &Fate::Done).await;
    within(inbound.close()).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_said_and_never_shown() {
    let server = RabbitServer::with_password("worker", "open-4711");
    let right = connect(&server.url("access")).unwrap();
    round_trip(&*right).await;
    let wrong = connect(&server.url("access").replace("open-4711", SECRET)).unwrap();
    for error in errors(&*wrong).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
        let text = format!("{error:?} {error}");
        assert!(text.contains("user, password") && !text.contains(SECRET), "{text}");
    }
    for transport in [&right, &wrong] {
        let shown = format!("{transport:?} {}", transport.address());
        assert!(shown.contains("127.0.0.1") && !shown.contains(SECRET) && !shown.contains("open-4711"), "{shown}");
    }
}

#[tokio::test]
async fn a_virtual_host_that_does_not_exist_is_named() {
    let server = RabbitServer::shared();
    let transport = connect(&server.url("access").replace("/?", "/nowhere%2Fthere?")).unwrap();
    for error in errors(&*transport).await {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
        assert!(error.to_string().contains("nowhere/there"), "{error}");
    }
    // `%2F` is the name of the default one, and so is none.
    round_trip(&*connect(&server.url("vhost").replace("/?", "/%2F?")).unwrap()).await;
    round_trip(&*connect(&server.url("vhost").replace("/?", "?")).unwrap()).await;
}

#[tokio::test]
async fn a_host_that_is_not_there_yet_is_a_temporary_error() {
    for address in ["no-such-host.invalid:5672", "127.0.0.1:9"] {
        let transport = connect(&format!("amqp://user:{SECRET}@{address}")).unwrap();
        for error in errors(&*transport).await {
            let text = format!("{error:?} {error}");
            assert!(error.is_temporary() && text.contains(address) && !text.contains(SECRET), "{text}");
        }
    }
}

#[tokio::test]
async fn tls_trusts_the_authority_that_the_address_names_and_no_other() {
    let server = RabbitServer::with_tls();
    let url = server.url("tls");
    assert!(url.starts_with("amqps://") && url.contains("&ca="), "{url}");
    round_trip(&*connect(&url).unwrap()).await;

    let without = connect(url.split("&ca=").next().unwrap()).unwrap();
    let plain = connect(&url.replace("amqps://", "amqp://")).unwrap();
    let missing = connect(&format!("{}&ca=/nowhere/ca.pem", url.split("&ca=").next().unwrap())).unwrap();
    for error in errors(&*without).await.into_iter().chain(errors(&*missing).await) {
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error:?}");
        assert!(error.to_string().contains("ca"), "{error}");
    }
    // Speaking plainly to it is an error, of whatever kind.
    assert_eq!(errors(&*plain).await.len(), 5);
}
