//! What may cross the boundary as plain bytes.

#![expect(unsafe_code, reason = "aya::Pod is a promise about layout")]

use crate::{
    matcher::Automaton,
    state::{Settings, Socket},
};

macro_rules! plain {
    ($($t:ty),+) => {$(
        // SAFETY: repr(C), no padding (asserted beside the type), any bit pattern is valid.
        unsafe impl aya::Pod for $t {}
    )+};
}

plain!(Automaton, Settings, Socket);
