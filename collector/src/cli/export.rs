//! `gnomon-collector export`.

use clap::{Args, Subcommand};

use super::{Data, print};
use crate::{
    clock::{now_ms, parse_time},
    store::query::EventFilter,
};

/// Events per query: bounds memory, whatever the size of the store.
const PAGE: u32 = 500;

#[derive(Debug, Subcommand)]
pub(super) enum Export {
    /// Events as JSON Lines, in the order in which they were stored.
    Events(Events),
}

#[derive(Debug, Args)]
pub(super) struct Events {
    #[command(flatten)]
    data: Data,
    /// From this time on: RFC 3339, or a duration ago such as 24h.
    #[arg(long, value_name = "TIME", value_parser = |text: &str| parse_time(text, now_ms()))]
    since: Option<i64>,
}

impl Export {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Events(command) = self;
        command.run().await
    }
}

impl Events {
    async fn run(self) -> anyhow::Result<()> {
        let (_, store) = self.data.existing()?;
        let mut filter =
            EventFilter { after: Some(0), since_ms: self.since, limit: PAGE, ..EventFilter::default() };
        loop {
            let page = store.events(filter.clone()).await?;
            let Some(last) = page.last() else { break };
            filter.after = Some(last.id);
            let mut lines = String::new();
            for event in &page {
                lines.push_str(&serde_json::to_string(event)?);
                lines.push('\n');
            }
            print(&lines)?;
        }
        store.close().await;
        Ok(())
    }
}
