mod collector;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use gnomon_proto::v1::Event;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;
use crate::config::Token;
use crate::spool::SpoolLimits;
use crate::telemetry::LossKind;
use collector::{Ca, Collector as Peer, Faults, Seen};

const LOCALHOST: &str = "127.0.0.1";

/// A host and what its collector saw.
struct Rig {
    dir: TempDir,
    ca: Arc<Ca>,
    seen: Arc<Mutex<Seen>>,
    spool: Spool,
    telemetry: Telemetry,
    running: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::new();
        let limits = SpoolLimits { max_bytes: 64 << 20, has_collector: true };
        let spool = Spool::open(dir.path(), limits, telemetry.clone()).unwrap();
        Self { dir, ca: Arc::new(Ca::new()), seen: Arc::default(), spool, telemetry, running: None }
    }

    fn collector(&self, address: Option<SocketAddr>, faults: Faults) -> Peer {
        Peer::start(&self.ca, self.ca.server_certificate(LOCALHOST, |_| {}), address, &self.seen, faults)
    }

    fn good_token(&self, secret: &str) -> Token {
        let token = self.ca.token(secret);
        self.seen().good_tokens.push(token.clone());
        Token::Inline(token)
    }

    fn start(&mut self, address: SocketAddr, token: Option<Token>) {
        let config = Collector { address: address.to_string(), server_name: None, token, heartbeat_secs: 1 };
        let (stop, stopped) = watch::channel(false);
        let shipper =
            Shipper::new(config, self.dir.path().into(), self.spool.clone(), self.telemetry.clone());
        self.running = Some((stop, tokio::spawn(shipper.run(stopped))));
    }

    async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send_replace(true);
        tokio::time::timeout(Duration::from_secs(5), task).await.expect("stops in time").unwrap();
    }

    fn append(&self, notes: impl IntoIterator<Item = String>) {
        let mut events: Vec<Event> =
            notes.into_iter().map(|note| Event { kind: "agent".into(), note, ..Event::default() }).collect();
        self.spool.append(&mut events, false).unwrap();
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    async fn until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !reached(self) {
            assert!(Instant::now() < deadline, "not reached: {what}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn enrolled(&mut self) -> SocketAddr {
        let peer = self.collector(None, Faults::default());
        let token = self.good_token("first");
        self.start(peer.address, Some(token));
        self.until("enrolled", |rig| Identity::exists(rig.dir.path())).await;
        self.stop().await;
        let mut seen = self.seen();
        (seen.streams, seen.health) = (0, Vec::new());
        peer.address
    }

    fn stored(&self) -> usize {
        self.seen().events.len()
    }
}

fn notes(n: usize) -> impl Iterator<Item = String> {
    (1..=n).map(|i| i.to_string())
}

#[tokio::test]
async fn a_host_enrols_once_and_ships() {
    use std::os::unix::fs::PermissionsExt;
    let mut rig = Rig::new();
    let peer = rig.collector(None, Faults::default());
    let token = rig.good_token("once");
    rig.append(notes(3));
    rig.start(peer.address, Some(token.clone()));
    rig.until("all acked", |rig| rig.spool.size().0 == 0).await;
    rig.append(notes(2));
    rig.until("new events go at once", |rig| rig.stored() == 5).await;
    rig.until("heartbeats", |rig| rig.seen().health.len() >= 2).await;
    rig.stop().await;
    let mode = std::fs::metadata(rig.dir.path().join("identity.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    for token in [Some(token), Some(Token::File("/nonexistent".into())), None] {
        let before = rig.stored();
        rig.append(notes(1));
        rig.start(peer.address, token);
        rig.until("with the stored identity", |rig| rig.stored() == before + 1).await;
        rig.stop().await;
    }
    let seen = rig.seen();
    assert_eq!(seen.enrol_calls.len(), 1);
    assert_eq!(seen.enrol_calls[0].machine.len(), 64);
    assert_eq!(seen.health[0].agent_version, env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn another_token_enrols_anew() {
    let mut rig = Rig::new();
    let address = rig.enrolled().await;
    let _peer = rig.collector(Some(address), Faults::default());
    let token = rig.good_token("second");
    rig.append(notes(1));
    rig.start(address, Some(token));
    rig.until("shipped", |rig| rig.stored() == 1).await;
    rig.stop().await;
    assert_eq!(rig.seen().enrol_calls.len(), 2);
}

#[tokio::test]
async fn while_the_collector_is_down_the_spool_grows_and_then_drains() {
    let mut rig = Rig::new();
    let address = rig.enrolled().await;
    rig.start(address, None);
    rig.append(notes(3000));
    sleep(Duration::from_millis(300)).await;
    rig.append(notes(2000));
    assert_eq!(rig.spool.size().0, 5000);
    let peer = rig.collector(Some(address), Faults::default());
    rig.until("drained", |rig| rig.spool.size().0 == 0).await;
    assert_eq!(rig.stored(), 5000);
    assert!(rig.seen().largest_batch <= 500);
    drop(peer);
    rig.append(notes(100));
    sleep(Duration::from_millis(300)).await;
    assert_eq!(rig.spool.size().0, 100);
    let _peer = rig.collector(Some(address), Faults::default());
    rig.until("drained again", |rig| rig.spool.size().0 == 0).await;
    rig.stop().await;
    let seen = rig.seen();
    let seqs: Vec<u64> = seen.events.keys().map(|(_, seq)| *seq).collect();
    assert_eq!(seqs, (1..=5100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_cut_stream_resumes_after_the_last_acknowledgement() {
    let mut rig = Rig::new();
    let address = rig.enrolled().await;
    rig.append(notes(2400));
    let _peer = rig.collector(Some(address), Faults { cut_at_batch: Some(3), ..Faults::default() });
    rig.start(address, None);
    rig.until("drained", |rig| rig.spool.size().0 == 0).await;
    rig.stop().await;
    let seen = rig.seen();
    assert_eq!(seen.events.len(), 2400, "by (epoch, seq) nothing is there twice, nothing is missing");
    assert!(seen.events.values().map(|e| &e.note).eq(&notes(2400).collect::<Vec<_>>()));
    assert!(seen.resumed.len() > 1);
    for (first, acked) in &seen.resumed {
        assert_eq!(*first, acked + 1);
    }
}

#[tokio::test]
async fn an_event_that_is_refused_does_not_block_the_others() {
    for name_bad in [true, false] {
        let mut rig = Rig::new();
        let address = rig.enrolled().await;
        let bad = [1, 2, 700, 1200];
        rig.append((1..=1200).map(|i| if bad.contains(&i) { "bad".to_owned() } else { i.to_string() }));
        let _peer = rig.collector(Some(address), Faults { refuse_bad: true, name_bad, ..Faults::default() });
        rig.start(address, None);
        rig.until("drained", |rig| rig.spool.size().0 == 0).await;
        rig.stop().await;
        assert_eq!(rig.telemetry.lost(LossKind::BatchRejected).0, 4, "named: {name_bad}");
        let seen = rig.seen();
        assert_eq!(seen.events.len(), 1196);
        assert!(seen.events.values().all(|e| e.note != "bad"));
    }
}

#[tokio::test]
async fn a_refused_health_report_does_not_block_events() {
    let mut rig = Rig::new();
    let address = rig.enrolled().await;
    rig.append(notes(1));
    let _peer = rig.collector(Some(address), Faults { refuse_health: true, ..Faults::default() });
    rig.start(address, None);
    rig.until("drained", |rig| rig.spool.size().0 == 0).await;
    rig.append(notes(700));
    rig.until("drained", |rig| rig.spool.size().0 == 0).await;
    rig.stop().await;
    assert_eq!(rig.stored(), 701);
    assert_eq!(rig.telemetry.lost(LossKind::BatchRejected).0, 0);
}

#[tokio::test]
async fn a_collector_with_a_wrong_certificate_gets_nothing() {
    let other = Arc::new(Ca::new());
    type Make = fn(&Ca, &Ca) -> tonic::transport::Identity;
    let cases: [(&str, Make, &str); 3] = [
        ("another CA", |_, other| other.server_certificate(LOCALHOST, |_| {}), "was not issued by the CA"),
        ("another name", |own, _| own.server_certificate("192.0.2.1", |_| {}), "is not for 127.0.0.1"),
        (
            "expired",
            |own, _| own.server_certificate(LOCALHOST, |p| p.not_after = rcgen::date_time_ymd(2020, 1, 1)),
            "is expired",
        ),
    ];
    for (name, certificate, says) in cases {
        let mut rig = Rig::new();
        let address = rig.enrolled().await;
        let _peer =
            Peer::start(&rig.ca, certificate(&rig.ca, &other), Some(address), &rig.seen, Faults::default());
        rig.append(notes(5));
        let config =
            Collector { address: address.to_string(), server_name: None, token: None, heartbeat_secs: 1 };
        let identity = Identity::load(rig.dir.path()).unwrap().unwrap();
        let error = connect::open(&config, tls::mutual(&identity).unwrap()).await.unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
        rig.start(address, None);
        sleep(Duration::from_millis(1500)).await;
        rig.stop().await;
        let seen = rig.seen();
        assert_eq!((seen.streams, seen.events.len(), rig.spool.size().0), (0, 0, 5), "{name}");
    }
}

#[tokio::test]
async fn a_host_whose_certificate_is_refused_is_told_what_to_do() {
    let mut rig = Rig::new();
    let address = rig.enrolled().await;
    // Trusts hosts of another CA only; its own certificate is right.
    let certificate = rig.ca.server_certificate(LOCALHOST, |_| {});
    let _peer = Peer::start(&Arc::new(Ca::new()), certificate, Some(address), &rig.seen, Faults::default());
    rig.append(notes(1));
    let config =
        Collector { address: address.to_string(), server_name: None, token: None, heartbeat_secs: 1 };
    let shipper = Shipper::new(config, rig.dir.path().into(), rig.spool.clone(), rig.telemetry.clone());
    let (_stop, mut stopped) = watch::channel(false);
    let error = shipper.connection(&mut Batches::new(rig.spool.clone()), &mut stopped).await.unwrap_err();
    assert!(matches!(error, ShipError::HostRefused(_)), "{error}");
    assert_eq!(rig.spool.size().0, 1);
}

#[tokio::test]
async fn the_token_is_not_said_to_a_collector_with_another_ca() {
    let mut rig = Rig::new();
    let peer = rig.collector(None, Faults::default());
    for (token, says) in [
        (Ca::new().token("secret"), "the CA named by the enrolment token"),
        ("gn1.secret".to_owned(), "gn1.SECRET.FINGERPRINT"),
    ] {
        let config = Collector {
            address: peer.address.to_string(),
            server_name: None,
            token: None,
            heartbeat_secs: 1,
        };
        let error = enrol::enrol(&config, &token, rig.dir.path()).await.unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains(&token), "{error}");
        rig.start(peer.address, Some(Token::Inline(token)));
        sleep(Duration::from_millis(800)).await;
        rig.stop().await;
    }
    assert!(rig.seen().enrol_calls.is_empty());
    assert!(!Identity::exists(rig.dir.path()));
}

#[tokio::test]
async fn a_refused_token_can_be_replaced_while_the_agent_runs() {
    let mut rig = Rig::new();
    let peer = rig.collector(None, Faults::default());
    let file = rig.dir.path().join("token");
    std::fs::write(&file, rig.ca.token("used-up")).unwrap();
    rig.append(notes(1));
    rig.start(peer.address, Some(Token::File(file.clone())));
    rig.until("refused", |rig| !rig.seen().enrol_calls.is_empty()).await;
    assert!(!Identity::exists(rig.dir.path()));
    let Token::Inline(good) = rig.good_token("fresh") else { unreachable!() };
    std::fs::write(&file, good + "\n").unwrap();
    rig.until("shipped", |rig| rig.stored() == 1).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_stop_sends_what_is_there() {
    let mut rig = Rig::new();
    let address = rig.enrolled().await;
    let _peer = rig.collector(Some(address), Faults::default());
    rig.start(address, None);
    rig.until("connected", |rig| rig.seen().streams == 1).await;
    rig.append(notes(1500));
    rig.stop().await;
    assert_eq!(rig.stored(), 1500);
    assert_eq!(rig.spool.size().0, 0);
}
