//! Where the payload of a TCP segment is.

use aya_ebpf::programs::SkBuffContext;
use gnomon_common::record::Endpoint;

const TCP: u8 = 6;

/// One TCP segment with payload, as cgroup_skb sees it: the network header is at 0.
pub struct Segment {
    /// Sequence number of the first payload byte.
    pub seq: u32,
    /// Where the payload starts.
    pub at: u32,
    /// Payload bytes, never 0.
    pub len: u32,
}

/// Where a segment goes.
#[inline(always)]
pub fn destination(ctx: &SkBuffContext) -> Option<Endpoint> {
    let first: u8 = ctx.load(0).ok()?;
    let (version, network, address) = if first >> 4 == 4 {
        (4, ((first & 0xf) as u32) << 2, [ctx.load::<u32>(16).ok()?, 0, 0, 0])
    } else {
        (6, 40, ctx.load::<[u32; 4]>(24).ok()?)
    };
    let port = u16::from_be(ctx.load(network as usize + 2).ok()?);
    Some(Endpoint { address, port, version, reserved: 0 })
}

impl Segment {
    /// None for anything that is not TCP or carries no payload. IPv6 extension headers are not walked: Linux puts
    /// none before TCP on its own.
    #[inline(always)]
    pub fn parse(ctx: &SkBuffContext) -> Option<Self> {
        // The smallest segment with payload: 20 bytes of IPv4, 20 of TCP, 1 of payload.
        let total = ctx.len();
        if total <= 40 {
            return None;
        }
        let first: u8 = ctx.load(0).ok()?;
        let (protocol, network) = if first >> 4 == 4 {
            (ctx.load::<u8>(9).ok()?, ((first & 0xf) as u32) << 2)
        } else {
            (ctx.load::<u8>(6).ok()?, 40)
        };
        if protocol != TCP {
            return None;
        }
        let seq = u32::from_be(ctx.load(network as usize + 4).ok()?);
        let header = (ctx.load::<u8>(network as usize + 12).ok()? >> 4) as u32 * 4;
        let at = network + header;
        // Not the IP total length, which is 0 in segments beyond 64 KiB (BIG TCP).
        let len = total.checked_sub(at)?;
        if len == 0 {
            return None;
        }
        Some(Self { seq, at, len })
    }
}
