//! The wire contract between `gnomon-agent` and `gnomon-collector`: messages and gRPC stubs generated from
//! `proto/gnomon/v1/collector.proto`.
//!
//! The generated Rust is committed, so building needs neither `protoc` nor a build script. After a change of the
//! `.proto` file, `BLESS=1 cargo test -p gnomon-proto --test generated` writes it anew; without `BLESS` the same test
//! fails when the committed code differs.
//!
//! Every message implements serde's traits with the field names of the `.proto` file. Empty strings, empty lists and
//! absent messages are left out; numbers and booleans are always written, because `"body_bytes_left":0` is a statement.
//! 64-bit integers are JSON numbers: a reader that holds numbers as doubles (JavaScript) loses nanoseconds.
//!
//! Features: `client` and `server` add the stubs of the two services.
#![forbid(unsafe_code)]

/// The trait that encodes and measures messages.
pub use prost::Message;

pub mod limits;

/// Messages and services of package `gnomon.v1`.
#[cfg_attr(
    any(feature = "client", feature = "server"),
    expect(
        clippy::allow_attributes_without_reason,
        reason = "tonic's generated stubs silence lints without saying why"
    )
)]
pub mod v1 {
    include!("generated/gnomon.v1.rs");

    /// The token is a credential: it must not reach a log through `{:?}`.
    impl std::fmt::Debug for EnrolRequest {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("EnrolRequest")
                .field("hostname", &self.hostname)
                .field("machine", &self.machine)
                .finish_non_exhaustive()
        }
    }
}
