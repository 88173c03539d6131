//! The end of a TLS object: its address will be used again.

use crate::maps::TLS;
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::uprobe, programs::ProbeContext};
use gnomon_common::{record::kind, state::TlsKey};

/// `void SSL_free(SSL *)`
#[uprobe]
pub fn tls_free(ctx: ProbeContext) -> u32 {
    end(&ctx, true)
}

/// `int SSL_shutdown(SSL *)`: no more plaintext leaves, but the object lives on and may be called again.
#[uprobe]
pub fn tls_shutdown(ctx: ProbeContext) -> u32 {
    end(&ctx, false)
}

#[inline(always)]
fn end(ctx: &ProbeContext, forget: bool) -> u32 {
    let Some(ssl) = ctx.arg::<u64>(0) else {
        return 0;
    };
    let id = bpf_get_current_pid_tgid();
    let key = TlsKey { ssl, tgid: (id >> 32) as u32, reserved: 0 };
    let Some(t) = TLS.get_ptr(key) else {
        return 0;
    };
    // SAFETY: a live map value.
    let (stream, offset) = unsafe { ((*t).stream, (*t).egress_offset) };
    if stream != 0 && forget {
        crate::maps::end(kind::CLOSED, stream, offset, (id >> 32) as u32);
    }
    if forget {
        let _ = TLS.remove(key);
    }
    0
}
