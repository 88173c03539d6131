//! `gnomon-collector host`.

use clap::{Args, Subcommand};

use super::{Data, print};

#[derive(Debug, Subcommand)]
pub(super) enum Host {
    /// List enrolled hosts.
    List(List),
    /// Refuse a host from its next batch on. A new enrolment lets it in again.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    data: Data,
    /// Print JSON Lines.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    data: Data,
    /// Id of the host, as `host list` shows it.
    id: String,
}

impl Host {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(command) => command.run().await,
            Self::Revoke(command) => {
                let (_, store) = command.data.existing()?;
                store.revoke(command.id).await?;
                store.close().await;
                Ok(())
            }
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let (_, store) = self.data.existing()?;
        let hosts = store.hosts().await?;
        store.close().await;
        let mut out = String::new();
        if !self.json {
            out.push_str(&format!("{:<20} {:<32} {:<25} STATE\n", "ID", "HOSTNAME", "LAST SEEN"));
        }
        for host in hosts {
            if self.json {
                out.push_str(&serde_json::to_string(&host)?);
                out.push('\n');
                continue;
            }
            let state = if host.revoked.is_some() { "revoked" } else { "enrolled" };
            // A host chooses its name: no control characters into the terminal.
            let name = host.hostname.escape_debug().to_string();
            let seen = host.last_seen.as_deref().unwrap_or("never");
            out.push_str(&format!("{:<20} {name:<32} {seen:<25} {state}\n", host.id));
        }
        print(&out)
    }
}
