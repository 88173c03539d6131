//! `gnomon-collector token` and `link`: everything that lets somebody in.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Data, print};
use crate::{
    clock::{millis, now_ms, parse_duration, rfc3339_from_ms},
    data_dir::DataDir,
    http::API_PREFIX,
    pki::Ca,
    secret::{Kind, Secret, hex},
    serve::{Addresses, new_admin_link},
    store::Store,
};

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Print an enrolment token: it makes one machine a host of this collector, once.
    Create(Create),
    /// Print an API token, for `Authorization: Bearer`. It may be used until it expires.
    Api(Api),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    data: Data,
    /// How long the token can be used: a number with s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Api {
    #[command(flatten)]
    data: Data,
    /// How long the token can be used: a number with s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_duration)]
    ttl: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Link {
    #[command(flatten)]
    data: Data,
}

impl Token {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(command) => command.run().await,
            Self::Api(command) => command.run().await,
        }
    }
}

impl Create {
    /// Works before the first `serve` too: the CA, which the token names, is made then.
    async fn run(self) -> anyhow::Result<()> {
        let data = DataDir::open(&self.data.data)?;
        let ca = Ca::open_or_create(&data)?;
        let store = Store::open(&data.database())?;
        let secret = Secret::generate()?;
        store.add_secret(Kind::Enrolment, &secret, self.ttl).await?;
        store.close().await;
        let token = secret.enrolment_token(ca.sha256());
        if !self.json {
            return print(&format!("{token}\n"));
        }
        let object = json!({
            "token": token,
            "expires": rfc3339_from_ms(now_ms().saturating_add(millis(self.ttl))),
            "ca_sha256": hex(ca.sha256()),
            "collector": addresses(&data).grpc,
        });
        print(&format!("{object}\n"))
    }
}

impl Api {
    async fn run(self) -> anyhow::Result<()> {
        let (_, store) = self.data.existing()?;
        let secret = Secret::generate()?;
        store.add_secret(Kind::Api, &secret, self.ttl).await?;
        store.close().await;
        let token = format!("{API_PREFIX}{}", secret.text());
        if !self.json {
            return print(&format!("{token}\n"));
        }
        let expires = rfc3339_from_ms(now_ms().saturating_add(millis(self.ttl)));
        print(&format!("{}\n", json!({ "token": token, "expires": expires })))
    }
}

impl Link {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (data, store) = self.data.existing()?;
        let link = new_admin_link(&store, &data, addresses(&data).http).await?;
        store.close().await;
        print(&format!("{link}\n"))
    }
}

/// Of the running collector, else those it takes by default.
fn addresses(data: &DataDir) -> Addresses {
    let known = std::fs::read(data.addresses()).ok().and_then(|json| serde_json::from_slice(&json).ok());
    known.unwrap_or_default()
}
