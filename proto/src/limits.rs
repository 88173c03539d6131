//! What the collector accepts. An agent clamps to these before it spools, because a batch over a limit is refused as a
//! whole (`INVALID_ARGUMENT`, naming the field) and would be refused again for ever.

/// Bytes of one encoded [`Batch`](crate::v1::Batch).
pub const BATCH_BYTES: usize = 4 << 20;
/// Events in one batch.
pub const BATCH_EVENTS: usize = 4096;
/// Bytes of one encoded [`Event`](crate::v1::Event).
pub const EVENT_BYTES: usize = 64 << 10;
/// Bytes of one string, in UTF-8.
pub const TEXT_BYTES: usize = 4096;
/// Entries of one repeated field within an event or a health report.
pub const LIST_ENTRIES: usize = 256;
/// Bytes of [`Batch::epoch`](crate::v1::Batch::epoch).
pub const EPOCH_BYTES: usize = 64;
/// Sequence numbers and times are stored as signed 64-bit integers.
pub const INTEGER: u64 = i64::MAX as u64;
/// Open `Ship` streams of one host.
pub const STREAMS_PER_HOST: usize = 4;

/// Metadata keys of an `INVALID_ARGUMENT` answer to `Ship`: the event that was refused, when one was. An agent drops
/// that event, counts it as the loss `batch_rejected`, and sends the rest again.
pub const REJECTED_EPOCH: &str = "gnomon-rejected-epoch";
/// See [`REJECTED_EPOCH`].
pub const REJECTED_SEQ: &str = "gnomon-rejected-seq";
