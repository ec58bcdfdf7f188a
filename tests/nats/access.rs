//! Credentials and TLS: what is wrong is said, and no password is ever shown.

use domain_events::{Error, ErrorKind, EventId, testkit::server::NatsServer, transport::connect};

use crate::{certificates::certificates, tools::*};

fn no_secret(error: &Error, secret: &str) {
    assert!(!format!("{error} {error:?} {error:#?}").contains(secret), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_a_clear_error_without_the_password() {
    let server = NatsServer::with_password("library", "s3cr3t/@");
    for scheme in ["nats://", "nats+core://"] {
        let at = |credentials: &str| {
            let host = server.url().replace("nats://", "");
            connect(&format!("{scheme}{credentials}{host}?prefix={}", EventId::generate())).unwrap()
        };
        for (credentials, secret) in [("library:wr0ng@", "wr0ng"), ("", "s3cr3t")] {
            let transport = at(credentials);
            let errors = [
                transport.publisher().await.err().unwrap(),
                transport.ensure(&subscription("a")).await.unwrap_err(),
                transport.subscribe(&subscription("a")).await.err().unwrap(),
            ];
            for error in &errors {
                assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
                assert!(error.to_string().contains("does not accept the user or password"), "{error}");
                no_secret(error, secret);
            }
        }
        let transport = at("library:s3cr3t%2F%40@");
        transport.ensure(&subscription("a")).await.unwrap();
        assert!(!format!("{transport:?} {}", transport.address()).contains("s3cr3t"), "{transport:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_a_clear_error_that_may_pass() {
    let transport = connect("nats://library:s3cr3t@no-such-host.invalid").unwrap();
    let error = transport.publisher().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    no_secret(&error, "s3cr3t");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_a_private_authority_and_no_other_is_trusted() {
    let folder = std::env::temp_dir().join(format!("domain-events-certificates-{}", EventId::generate()));
    certificates(&folder);
    let server = NatsServer::with_tls(&folder.join("server.pem"), &folder.join("server.key"));
    let ca = folder.join("ca.pem").display().to_string();
    let trusted = connect(&url(&server, &format!("&ca={ca}"))).unwrap();
    let inbound = trusted.subscribe(&subscription("a")).await.unwrap();
    publish_all(&*trusted, &rounds(2, 2)).await;
    assert_eq!(take(&*inbound, 4).await.len(), 4);

    let error = connect(&url(&server, "")).unwrap().publisher().await.err().unwrap();
    assert!(error.to_string().to_lowercase().contains("tls"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    let error = connect(&url(&server, "&ca=/no/such.pem")).unwrap().publisher().await.err().unwrap();
    assert!(error.kind() == ErrorKind::Configuration && error.to_string().contains("/no/such.pem"), "{error}");
    drop(server);
    std::fs::remove_dir_all(&folder).unwrap();
}
