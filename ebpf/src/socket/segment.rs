//! Where the payload of a TCP segment is.

use aya_ebpf::programs::SkBuffContext;
use gnomon_common::record::Endpoint;

const TCP: u8 = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION_OPTIONS: u8 = 60;
const MAX_EXTENSIONS: u32 = 4;

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
    let (_, network, version) = network(ctx)?;
    let address =
        if version == 4 { [ctx.load::<u32>(16).ok()?, 0, 0, 0] } else { ctx.load::<[u32; 4]>(24).ok()? };
    let port = u16::from_be(ctx.load(network as usize + 2).ok()?);
    Some(Endpoint { address, port, version, reserved: 0 })
}

/// Protocol after the network header, where that starts, and the IP version. IPv6 extension headers are walked: Linux
/// puts one (hop by hop, jumbo) before segments beyond 64 KiB, and an application may add others (RFC 8200, 4).
#[inline(always)]
fn network(ctx: &SkBuffContext) -> Option<(u8, u32, u16)> {
    let first: u8 = ctx.load(0).ok()?;
    if first >> 4 == 4 {
        return Some((ctx.load::<u8>(9).ok()?, ((first & 0xf) as u32) << 2, 4));
    }
    let mut protocol: u8 = ctx.load(6).ok()?;
    let mut at = 40u32;
    let mut i = 0;
    while i < MAX_EXTENSIONS && matches!(protocol, HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
        let header: [u8; 2] = ctx.load(at as usize).ok()?;
        protocol = header[0];
        at += (header[1] as u32 + 1) << 3;
        i += 1;
    }
    Some((protocol, at, 6))
}

impl Segment {
    /// None for anything that is not TCP or carries no payload.
    #[inline(always)]
    pub fn parse(ctx: &SkBuffContext) -> Option<Self> {
        // The smallest segment with payload: 20 bytes of IPv4, 20 of TCP, 1 of payload.
        let total = ctx.len();
        if total <= 40 {
            return None;
        }
        let (protocol, network, _) = network(ctx)?;
        if protocol != TCP {
            return None;
        }
        let flags: [u8; 2] = ctx.load(network as usize + 12).ok()?;
        let header = (flags[0] >> 4) as u32 * 4;
        // A SYN counts as one byte before the data that it carries (TCP Fast Open).
        let syn = (flags[1] >> 1 & 1) as u32;
        let seq = u32::from_be(ctx.load(network as usize + 4).ok()?).wrapping_add(syn);
        let at = network + header;
        // Not the IP total length, which is 0 in segments beyond 64 KiB (BIG TCP).
        let len = total.checked_sub(at)?;
        if len == 0 {
            return None;
        }
        Some(Self { seq, at, len })
    }
}
