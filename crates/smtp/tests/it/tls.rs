//! STARTTLS from both sides.

use crate::support::{Raw, Server, TestInbox, config, start};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use smtp::client::{ClientError, Delivery, Envelope, Stage, Target, Timeouts, TlsMode, deliver};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

async fn encrypted() -> Server {
    let mut config = config();
    config.tls = Some(Arc::new(smtp::tls::self_signed(&config.hostname).unwrap()));
    start(config, TestInbox::default()).await
}

async fn send(address: SocketAddr, tls: TlsMode) -> Result<Delivery, ClientError> {
    let target = Target { address, server_name: "mx.example.org".to_owned(), tls };
    let recipients = ["c@d.example".parse().unwrap()];
    let envelope = Envelope { mail_from: None, recipients: &recipients };
    deliver(&target, "client.example", &envelope, b"x\r\n", &Timeouts::default()).await
}

#[tokio::test]
async fn the_client_encrypts_when_it_can() {
    let server = encrypted().await;
    assert!(send(server.address, TlsMode::Opportunistic).await.unwrap().tls);
    assert!(server.inbox.kept.lock().unwrap()[0].tls);
    assert!(!send(server.address, TlsMode::None).await.unwrap().tls);
    let untrusted =
        send(server.address, TlsMode::RequiredBy(Arc::new(RootCertStore::empty()))).await.unwrap_err();
    assert!(matches!(untrusted, ClientError::Tls { .. }), "{untrusted}");
    assert_eq!(server.inbox.messages().len(), 2, "nothing was sent without trust");
    server.stop().await;

    let bare = start(config(), TestInbox::default()).await;
    assert!(!send(bare.address, TlsMode::Opportunistic).await.unwrap().tls);
    let missing =
        send(bare.address, TlsMode::RequiredBy(Arc::new(RootCertStore::empty()))).await.unwrap_err();
    assert!(matches!(missing, ClientError::TlsNotOffered { .. }), "{missing}");
    bare.stop().await;
}

#[tokio::test]
async fn a_known_authority_is_trusted_for_its_name_only() {
    let made = rcgen::generate_simple_self_signed(vec!["mx.example.org".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let roots = Arc::new(roots);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut config = config();
    config.tls = Some(Arc::new(smtp::tls::server(vec![made.cert.der().clone()], key).unwrap()));
    let server = start(config, TestInbox::default()).await;
    assert!(send(server.address, TlsMode::RequiredBy(roots.clone())).await.unwrap().tls);
    let target = Target {
        address: server.address,
        server_name: "other.example.org".to_owned(),
        tls: TlsMode::RequiredBy(roots),
    };
    let recipients = ["c@d.example".parse().unwrap()];
    let envelope = Envelope { mail_from: None, recipients: &recipients };
    let error = deliver(&target, "c.example", &envelope, b"x\r\n", &Timeouts::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn plain_text_behind_starttls_is_dropped_and_the_session_starts_anew() {
    let server = encrypted().await;
    let mut client = server.connect().await;
    let hello = client.ask("EHLO c.example\r\n").await;
    assert!(hello.ends_with("250 STARTTLS\r\n"), "{hello}");
    client.expect("MAIL FROM:<a@b.example>\r\n", "250").await;
    client.expect("STARTTLS\r\nNOOP\r\nMAIL FROM:<evil@b.example>\r\n", "220 2.0.0").await;
    let connector = TlsConnector::from(smtp::tls::opportunistic().unwrap());
    let name = ServerName::try_from("mx.example.org").unwrap();
    let mut client = Raw::new(connector.connect(name, client.stream).await.unwrap());
    // The first reply inside is to the first command inside; the injected ones were never run.
    client.expect("RCPT TO:<c@d.example>\r\n", "503 5.5.1 say MAIL").await;
    client.expect("MAIL FROM:<a@b.example>\r\n", "503 5.5.1 say EHLO").await;
    let hello = client.ask("EHLO c.example\r\n").await;
    assert!(!hello.contains("STARTTLS"), "{hello}");
    client.expect("STARTTLS\r\n", "503 5.5.1 the session is encrypted").await;
    client.begin().await;
    client.expect("x\r\n.\r\n", "250 2.0.0 queued as q1").await;
    client.expect("QUIT\r\n", "221").await;
    client.expect_closed().await;
    server.stop().await;
}

/// A server whose STARTTLS goes wrong: says `reply` and closes; a second connection is served in plain text.
async fn broken(reply: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 x\r\n").await.unwrap();
            let mut buffer = [0; 4096];
            loop {
                let count = stream.read(&mut buffer).await.unwrap_or(0);
                let say = match &buffer[..count] {
                    [b'E', ..] => "250-x\r\n250 STARTTLS\r\n",
                    [b'S', ..] => {
                        stream.write_all(reply.as_bytes()).await.unwrap();
                        let _handshake = stream.read(&mut buffer).await.unwrap_or(0);
                        break;
                    }
                    [b'D', ..] => "354 go\r\n",
                    [] => break,
                    _ => "250 ok\r\n",
                };
                stream.write_all(say.as_bytes()).await.unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn a_broken_handshake_falls_back_and_injected_replies_do_not_pass() {
    let address = broken("220 go\r\n").await;
    let delivery = send(address, TlsMode::Opportunistic).await.unwrap();
    assert!(!delivery.tls && delivery.data.unwrap().is_success());
    let address = broken("220 go\r\n250 injected\r\n").await;
    let error = send(address, TlsMode::Opportunistic).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol { stage: Stage::StartTls, .. }), "{error}");
}
