//! A collector on free ports of the loopback interface, and real clients for it.
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{net::SocketAddr, time::Duration};

use gnomon_collector::{
    secret::{Kind, Secret},
    serve::{Options, Running, start},
    store::Store,
};
use gnomon_proto::v1::{
    Ack, Batch, Decision, EnrolRequest, EnrolResponse, Event, Health, Message, Process, Server,
    enrolment_client::EnrolmentClient, ingest_client::IngestClient,
};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Status, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Identity},
};

pub struct Collector {
    pub dir: TempDir,
    pub running: Running,
}

/// What an agent has after enrolment.
pub struct Agent {
    pub id: String,
    identity: Identity,
}

impl Collector {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    pub async fn start_in(dir: TempDir) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let options = Options {
            data: dir.path().to_owned(),
            grpc: any,
            http: any,
            names: vec![],
            retain: Duration::from_secs(86_400),
        };
        let running = start(&options).await.unwrap();
        Self { dir, running }
    }

    /// Stops it as SIGTERM does, and starts another on the same data.
    pub async fn restart(self) -> Self {
        self.running.stop().await;
        Self::start_in(self.dir).await
    }

    /// A second handle to its database, as the command line has.
    pub fn store(&self) -> Store {
        Store::open(&self.dir.path().join("collector.db")).unwrap()
    }

    pub async fn secret(&self, kind: Kind, ttl: Duration) -> Secret {
        let secret = Secret::generate().unwrap();
        self.store().add_secret(kind, &secret, ttl).await.unwrap();
        secret
    }

    pub async fn token(&self, ttl: Duration) -> String {
        self.secret(Kind::Enrolment, ttl).await.enrolment_token(&[0; 32])
    }

    pub async fn api_token(&self) -> String {
        format!("gna1.{}", self.secret(Kind::Api, Duration::from_secs(60)).await.text())
    }

    pub fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("pki/ca.pem")).unwrap()
    }

    pub async fn channel(&self, identity: Option<Identity>) -> Result<Channel, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.ca_pem()))
            .domain_name("localhost");
        if let Some(identity) = identity {
            tls = tls.identity(identity);
        }
        let address = format!("https://{}", self.running.addresses.grpc);
        Channel::from_shared(address).unwrap().tls_config(tls)?.connect().await
    }

    pub async fn enrol(&self, token: &str, machine: &str) -> Result<(EnrolResponse, KeyPair), Status> {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::new(vec![]).unwrap().serialize_request(&key).unwrap();
        let request = EnrolRequest {
            token: token.into(),
            csr_der: csr.der().to_vec(),
            hostname: "web-1".into(),
            machine: machine.into(),
        };
        let mut client = EnrolmentClient::new(self.channel(None).await.unwrap());
        Ok((client.enrol(request).await?.into_inner(), key))
    }

    pub async fn agent(&self, machine: &str) -> Agent {
        let token = self.token(Duration::from_secs(60)).await;
        let (response, key) = self.enrol(&token, machine).await.unwrap();
        Agent {
            id: response.host_id,
            identity: Identity::from_pem(response.certificate_pem, key.serialize_pem()),
        }
    }

    pub async fn ship(&self, agent: &Agent) -> Result<Ship, Status> {
        let channel = self.channel(Some(agent.identity.clone())).await.unwrap();
        Ship::open(channel).await
    }

    /// Ids, sequence numbers and tools of all that is stored.
    pub async fn stored(&self) -> Vec<u64> {
        let token = self.api_token().await;
        let (status, _, body) = self.get("/api/v1/events?after=0&limit=500", &[&bearer(&token)]).await;
        assert_eq!(status, 200, "{body}");
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        json["events"].as_array().unwrap().iter().map(|e| e["event"]["seq"].as_u64().unwrap()).collect()
    }

    pub async fn get(&self, path: &str, headers: &[&str]) -> (u16, String, String) {
        request(self.running.addresses.http, "GET", path, headers).await
    }
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// One open `Ship` call.
pub struct Ship {
    batches: mpsc::Sender<Batch>,
    acks: Streaming<Ack>,
}

impl Ship {
    pub async fn open(channel: Channel) -> Result<Self, Status> {
        let (batches, receiver) = mpsc::channel(4);
        let acks = IngestClient::new(channel).ship(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(Self { batches, acks })
    }

    pub async fn send_only(&self, batch: Batch) {
        self.batches.send(batch).await.unwrap();
    }

    pub async fn send(&mut self, batch: Batch) -> Result<Ack, Status> {
        self.batches.send(batch).await.unwrap();
        self.ack().await
    }

    pub async fn ack(&mut self) -> Result<Ack, Status> {
        Ok(self.acks.message().await?.expect("an answer"))
    }
}

/// HTTP/1.1 over a socket: status, head, body.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[&str],
) -> (u16, String, String) {
    let mut socket = open(address, method, path, headers).await;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

pub async fn open(address: SocketAddr, method: &str, path: &str, headers: &[&str]) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let headers: String = headers.iter().map(|h| format!("{h}\r\n")).collect();
    let text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    socket.write_all(text.as_bytes()).await.unwrap();
    socket
}

/// Reads until `text` was seen; fails after ten seconds.
pub async fn read_until(socket: &mut TcpStream, text: &str) -> String {
    let mut seen = String::new();
    let read = async {
        while !seen.contains(text) {
            let mut piece = [0; 4096];
            let n = socket.read(&mut piece).await.unwrap();
            assert!(n > 0, "ended before {text:?}: {seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..n]));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("in time");
    seen
}

pub fn batch(epoch: &str, seqs: std::ops::RangeInclusive<u64>) -> Batch {
    Batch { epoch: epoch.into(), events: seqs.map(event).collect(), health: None }
}

pub fn event(seq: u64) -> Event {
    Event {
        seq,
        time_unix_nanos: u64::try_from(gnomon_collector::clock::now_ms()).unwrap() * 1_000_000 + 123_457,
        kind: "message".into(),
        message: Some(Message {
            protocol: "mcp".into(),
            method: "tools/call".into(),
            tool: format!("tool-{seq}"),
            ..Message::default()
        }),
        process: Some(Process { exe: "/usr/bin/node".into(), user: "ana".into(), ..Process::default() }),
        server: Some(Server {
            host: "shadow.example".into(),
            address: "203.0.113.7:443".into(),
            ..Server::default()
        }),
        decision: Some(Decision { verdict: "deny".into(), mode: "enforce".into(), ..Decision::default() }),
        ..Event::default()
    }
}

pub fn heartbeat(epoch: &str) -> Batch {
    let health = Health { hostname: "web-1".into(), level: "prevent-by-drop".into(), ..Health::default() };
    Batch { epoch: epoch.into(), events: vec![], health: Some(health) }
}
