//! Recognition of MCP traffic: bytes in, [`Message`]s and [`Finding`]s out.
//!
//! An [`Inspector`] follows one connection in both directions. It may be fed in pieces of any size and gives the same
//! items whatever the pieces were. It does no I/O, holds no more than its [`Limits`] allow, and does work linear in
//! the bytes fed.
//!
//! ```
//! use gnomon_inspect::{Direction, Inspector, Item, Limits, Transport};
//!
//! let mut inspector = Inspector::new(Transport::Stdio, Limits::default());
//! let mut items = Vec::new();
//! let line = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;
//! inspector.push(Direction::Request, line, &mut items);
//! inspector.push(Direction::Request, b"\n", &mut items);
//! let Some(Item::Message(message)) = items.first() else { panic!("one message") };
//! assert_eq!(message.tool.as_deref(), Some("echo"));
//! ```
//!
//! The way of a byte: `transport` and `beginning` decide the framing; `http1`, `sse` and `lines` cut it into JSON documents; `json`
//! and `rpc` read the JSON-RPC envelope; `mcp` weighs the signals and pairs responses; `dlp` looks for data.
#![forbid(unsafe_code)]

mod beginning;
pub mod dlp;
mod documents;
mod http1;
mod inspector;
mod item;
mod json;
mod limits;
mod lines;
mod mcp;
mod message;
mod message_buf;
mod rpc;
mod sse;
mod text;
mod transport;

pub use dlp::{Class, Finding};
pub use inspector::Inspector;
pub use item::{Item, Loss, Relevance};
pub use limits::Limits;
pub use message::{Id, Kind, Message};
pub use transport::{Direction, Transport};
