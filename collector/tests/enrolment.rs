//! One token, one host: over real TLS, with real certificates.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{Collector, batch};
use gnomon_proto::v1::{EnrolRequest, enrolment_client::EnrolmentClient};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tonic::Code;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_token_enrols_one_host() {
    let collector = Collector::start().await;
    let token = collector.token(MINUTE).await;
    let (response, _) = collector.enrol(&token, "m-1").await.unwrap();
    assert!(response.host_id.starts_with("h-") && response.ca_pem == collector.ca_pem());
    let second = collector.enrol(&token, "m-2").await.unwrap_err();
    assert_eq!(second.code(), Code::Unauthenticated, "{second}");
}

#[tokio::test]
async fn unknown_and_expired_tokens_are_refused() {
    let collector = Collector::start().await;
    let expired = collector.token(Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let unknown = gnomon_collector::secret::Secret::generate().unwrap().enrolment_token(&[0; 32]);
    let link = collector.secret(gnomon_collector::secret::Kind::Link, MINUTE).await.enrolment_token(&[0; 32]);
    for token in [expired, unknown, link, String::new(), "gn1".into(), "x".repeat(30_000)] {
        let refused = collector.enrol(&token, "m").await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_signed_leaves_the_token_unused() {
    let collector = Collector::start().await;
    let token = collector.token(MINUTE).await;
    let mut client = EnrolmentClient::new(collector.channel(None).await.unwrap());
    let request = EnrolRequest { token: token.clone(), csr_der: vec![1, 2, 3], ..EnrolRequest::default() };
    assert_eq!(client.enrol(request).await.unwrap_err().code(), Code::InvalidArgument);
    collector.enrol(&token, "m").await.unwrap();
}

#[tokio::test]
async fn a_second_enrolment_of_a_machine_replaces_the_first() {
    let collector = Collector::start().await;
    let first = collector.agent("machine").await;
    let mut open = collector.ship(&first).await.unwrap();
    open.send(batch("e", 1..=1)).await.unwrap();

    let second = collector.agent("machine").await;
    assert_eq!(first.id, second.id);
    let late = open.send(batch("e", 2..=2)).await.unwrap_err();
    assert_eq!(late.code(), Code::PermissionDenied, "an open stream ends too: {late}");
    assert!(collector.ship(&first).await.is_err());
    collector.ship(&second).await.unwrap().send(batch("e2", 1..=1)).await.unwrap();

    let (a, b) = (collector.agent("").await, collector.agent("").await);
    assert_ne!(a.id, b.id, "hosts without a machine id are not one host");
}

/// What the agent does with a token: the chain that the collector presents ends in the CA of the fingerprint.
#[tokio::test]
async fn the_fingerprint_in_the_token_is_that_of_the_presented_ca() {
    let collector = Collector::start().await;
    let seen = Arc::new(Mutex::new(vec![]));
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Recorder(seen.clone())))
        .with_no_client_auth();
    let socket = tokio::net::TcpStream::connect(collector.running.addresses.grpc).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut config = config;
    config.alpn_protocols = vec![b"h2".to_vec()];
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();

    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gnomon-collector"))
        .args(["token", "create", "--data"])
        .arg(collector.dir.path())
        .output()
        .unwrap();
    let token = String::from_utf8(output.stdout).unwrap();
    let ca = seen.lock().unwrap().last().cloned().expect("the chain has the CA");
    let fingerprint = gnomon_collector::secret::hex(&<sha2::Sha256 as sha2::Digest>::digest(&ca));
    assert_eq!(token.trim().rsplit('.').next(), Some(fingerprint.as_str()));
    collector.enrol(token.trim(), "m").await.unwrap();
}

/// Accepts any server and keeps what it presented.
#[derive(Debug)]
struct Recorder(Arc<Mutex<Vec<Vec<u8>>>>);

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = intermediates.iter().map(|c| c.to_vec()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
