//! What the API and the command line read. Each type here is the JSON that goes out.

mod events;
mod hosts;
mod servers;
mod summary;

pub use events::{EventFilter, EventView};
pub use hosts::HostView;
pub use servers::ServerView;
pub use summary::Summary;

use super::StoreError;
use serde_json::value::RawValue;

/// JSON that the collector itself has written.
fn stored_json(text: String) -> Result<Box<RawValue>, rusqlite::Error> {
    RawValue::from_string(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}
