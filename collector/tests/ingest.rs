//! What is acknowledged is on the disk, once; what is not allowed is refused and counted.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed set-up ends the test")]

mod common;

use std::time::Duration;

use common::{Agent, Collector, Ship, batch, bearer, event, heartbeat};
use gnomon_proto::{
    limits::{REJECTED_SEQ, STREAMS_PER_HOST, TEXT_BYTES},
    v1::Message,
};
use tonic::{Code, transport::Identity};

async fn host(collector: &Collector, agent: &Agent) -> serde_json::Value {
    let token = collector.api_token().await;
    let (_, _, body) = collector.get("/api/v1/hosts", &[&bearer(&token)]).await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    json["hosts"].as_array().unwrap().iter().find(|h| h["id"] == agent.id.as_str()).unwrap().clone()
}

#[tokio::test]
async fn without_a_certificate_nothing_is_taken() {
    let collector = Collector::start().await;
    let refused = Ship::open(collector.channel(None).await.unwrap()).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused() {
    let (collector, other) = (Collector::start().await, Collector::start().await);
    let token = other.token(Duration::from_secs(60)).await;
    let (response, key) = other.enrol(&token, "m").await.unwrap();
    let identity = Identity::from_pem(response.certificate_pem, key.serialize_pem());
    // TLS 1.3: the client may think it is connected before the server has refused its certificate.
    let outcome = match collector.channel(Some(identity)).await {
        Ok(channel) => Ship::open(channel).await.map(|_| ()).map_err(|status| status.to_string()),
        Err(error) => Err(error.to_string()),
    };
    assert!(outcome.is_err());
}

#[tokio::test]
async fn the_same_events_twice_are_stored_once() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut ship = collector.ship(&agent).await.unwrap();
    assert_eq!(ship.send(batch("e", 1..=3)).await.unwrap().seq, 3);
    assert_eq!(ship.send(batch("e", 2..=5)).await.unwrap().seq, 5);
    assert_eq!(ship.send(batch("other-epoch", 1..=1)).await.unwrap().seq, 1);
    assert_eq!(ship.send(heartbeat("e")).await.unwrap().seq, 5);
    assert_eq!(collector.stored().await, [1, 2, 3, 4, 5, 1]);
}

/// The connection breaks after the commit and before the acknowledgement arrives; the agent sends again.
#[tokio::test]
async fn a_lost_acknowledgement_leads_to_no_second_copy() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let ship = collector.ship(&agent).await.unwrap();
    ship.send_only(batch("e", 1..=10)).await;
    for _ in 0..100 {
        if collector.stored().await.len() == 10 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(ship);
    let mut again = collector.ship(&agent).await.unwrap();
    assert_eq!(again.send(batch("e", 1..=11)).await.unwrap().seq, 11);
    assert_eq!(collector.stored().await, (1..=11).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_acknowledged_survives_a_restart() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut ship = collector.ship(&agent).await.unwrap();
    ship.send(batch("e", 1..=7)).await.unwrap();
    // As after a crash: a copy of the files as they are now, without any clean stop.
    let copy = tempfile::tempdir().unwrap();
    for name in ["collector.db", "collector.db-wal"] {
        std::fs::copy(collector.dir.path().join(name), copy.path().join(name)).unwrap();
    }
    let crashed = gnomon_collector::store::Store::open(&copy.path().join("collector.db")).unwrap();
    assert_eq!(*crashed.latest().borrow(), 7);

    let collector = collector.restart().await;
    let mut ship = collector.ship(&agent).await.expect("the CA and the host are still known");
    assert_eq!(ship.send(heartbeat("e")).await.unwrap().seq, 7);
    assert_eq!(collector.stored().await.len(), 7);
}

#[tokio::test]
async fn a_batch_over_a_limit_is_refused_as_a_whole_and_counted() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut ship = collector.ship(&agent).await.unwrap();
    let mut wrong = batch("e", 1..=3);
    wrong.events[1].message = Some(Message { tool: "x".repeat(TEXT_BYTES + 1), ..Message::default() });
    let refused = ship.send(wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("events[1].message.tool"), "{refused}");
    assert_eq!(refused.metadata().get(REJECTED_SEQ).unwrap(), "2");
    assert!(collector.stored().await.is_empty());
    let view = host(&collector, &agent).await;
    assert_eq!(view["rejected_batches"], 1);

    let mut huge = batch("e", 1..=100);
    for event in &mut huge.events {
        event.findings =
            vec![gnomon_proto::v1::Finding { redacted: "x".repeat(4000), ..Default::default() }; 15];
    }
    let refused = collector.ship(&agent).await.unwrap().send(huge).await.unwrap_err();
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused}");
}

#[tokio::test]
async fn a_revoked_host_is_refused_at_once() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut open = collector.ship(&agent).await.unwrap();
    open.send(batch("e", 1..=1)).await.unwrap();
    collector.store().revoke(agent.id.clone()).await.unwrap();
    let late = open.send(batch("e", 2..=2)).await.unwrap_err();
    assert_eq!(late.code(), Code::PermissionDenied);
    let again = collector.ship(&agent).await.err().unwrap();
    assert!(again.code() == Code::PermissionDenied && again.message().contains("revoked"), "{again}");
    assert_eq!(collector.stored().await, [1]);
}

#[tokio::test]
async fn a_host_has_a_bounded_number_of_streams() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut open = vec![];
    for _ in 0..STREAMS_PER_HOST {
        open.push(collector.ship(&agent).await.unwrap());
    }
    assert_eq!(collector.ship(&agent).await.err().unwrap().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn health_gaps_and_servers_are_shown() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    let mut ship = collector.ship(&agent).await.unwrap();
    ship.send(heartbeat("e")).await.unwrap();
    ship.send(batch("e", 3..=4)).await.unwrap();
    let mut sanctioned = event(6);
    sanctioned.server.as_mut().unwrap().sanctioned_as = "crm".into();
    sanctioned.decision.as_mut().unwrap().verdict = "allow".into();
    sanctioned.process.as_mut().unwrap().exe = "/usr/bin/python3".into();
    ship.send(gnomon_proto::v1::Batch { epoch: "e".into(), events: vec![sanctioned], health: None })
        .await
        .unwrap();

    let view = host(&collector, &agent).await;
    assert_eq!(
        (&view["connected"], &view["missing_events"]),
        (&true.into(), &3.into()),
        "1, 2 and 5 never came"
    );
    assert_eq!(view["health"]["level"], "prevent-by-drop");
    let token = collector.api_token().await;
    let (_, _, body) = collector.get("/api/v1/servers", &[&bearer(&token)]).await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    let server = &json["servers"][0];
    assert_eq!(server["host"], "shadow.example");
    assert_eq!(
        [&server["messages"], &server["denied"], &server["hosts"], &server["processes"]],
        [&3, &2, &1, &2].map(|n: &i32| serde_json::Value::from(*n)).each_ref()
    );
    assert_eq!(server["sanctioned_as"], "crm");
    assert_eq!(json["servers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn events_past_their_retention_go_and_are_counted() {
    let collector = Collector::start().await;
    let agent = collector.agent("m").await;
    collector.ship(&agent).await.unwrap().send(batch("e", 1..=2500)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(collector.store().prune(Duration::from_millis(1)).await.unwrap(), 2500);
    assert!(collector.stored().await.is_empty());
    let summary = collector.store().summary(0).await.unwrap();
    assert_eq!((summary.events_deleted_by_retention, summary.servers), (2500, 0));
}
