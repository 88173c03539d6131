//! Plain data shared by the kernel programs and user space.
//!
//! Everything that crosses the boundary is `repr(C)`, has no implicit padding, and its layout is asserted at compile
//! time. Nothing here allocates or does I/O.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod matcher;
pub mod record;
pub mod state;

#[cfg(feature = "user")]
mod user;
