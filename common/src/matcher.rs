//! The stream matcher: a dense automaton with a few actions, run over plaintext as it leaves.
//!
//! One definition for both sides: the kernel programs run it synchronously on each write, user space runs the same
//! steps in tests and in the benchmark's baseline. A byte is four table look-ups and no branch: what an action does to
//! the [`flag`]s is looked up too ([`Automaton::settle`]). With a branch per byte the verifier follows both sides of
//! each through all the others and gives up; and the look-ups for the flags run beside those for the next state.

/// What reaching a state of the automaton means. Several may be set at once.
pub mod action {
    /// A JSON-RPC body anchor of MCP, such as `"method":"tools/call"`.
    pub const MCP_BODY: u8 = 1;
    /// A header name that only MCP uses, such as `mcp-session-id:`.
    pub const MCP_HEADER: u8 = 1 << 1;
    /// The start of a `Host:` header line: a new request, so any earlier sanction is over.
    pub const HOST_LINE: u8 = 1 << 2;
    /// A complete `Host:` header line that names a sanctioned server.
    pub const HOST_SANCTIONED: u8 = 1 << 3;
    /// The empty line that ends a header block.
    pub const HEADERS_END: u8 = 1 << 4;
    /// Number of distinct combinations.
    pub const COMBINATIONS: usize = 1 << 5;
}

/// What has been established about a stream.
pub mod flag {
    /// The current request names a sanctioned server.
    pub const SANCTIONED: u8 = 1;
    /// MCP was seen in a header block that has not ended.
    pub const MCP_IN_HEADERS: u8 = 1 << 1;
    /// MCP was seen at some time on this stream.
    pub const MCP: u8 = 1 << 2;
    /// MCP to a server that is not sanctioned. Stays set until the stream ends.
    pub const UNSANCTIONED: u8 = 1 << 3;
    /// Number of distinct combinations.
    pub const COMBINATIONS: usize = 1 << 4;
}

/// Entries in [`Automaton::trans`]: `states << stride2` must not exceed it.
pub const MAX_TRANSITIONS: usize = 1 << 20;
/// Most states an automaton can have.
pub const MAX_STATES: usize = 1 << 16;

/// A dense automaton over bytes, laid out as the value of a BPF array map (2 MiB and a little).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Automaton {
    /// Byte to equivalence class.
    pub classes: [u8; 256],
    /// State in which a stream starts.
    pub start: u32,
    /// log2 of the row length of `trans`.
    pub stride2: u32,
    /// Grows with every compiled policy; streams that carry an older one start again.
    pub generation: u32,
    /// The state that most bytes do not leave, because no pattern begins with them; `u16::MAX` when there is none. It has
    /// no actions.
    pub idle: u16,
    /// The bytes that do leave it.
    pub wake: [u8; 2],
    /// `settle[flags * action::COMBINATIONS + actions]`: the flags after the actions of one state. Filled by
    /// [`Automaton::boxed`] from [`settled`].
    pub settle: [u8; flag::COMBINATIONS * action::COMBINATIONS],
    /// Bits of [`action`] for each state.
    pub actions: [u8; MAX_STATES],
    /// `trans[state << stride2 | class]` is the next state.
    pub trans: [u16; MAX_TRANSITIONS],
}

const _: () = assert!(
    size_of::<Automaton>() == 256 + 16 + 512 + MAX_STATES + 2 * MAX_TRANSITIONS
        && align_of::<Automaton>() == 4
);

impl core::fmt::Debug for Automaton {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Automaton")
            .field("start", &self.start)
            .field("stride2", &self.stride2)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// What the matcher remembers of one direction of one stream between writes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchState {
    /// State of the automaton.
    pub state: u32,
    /// Which automaton `state` belongs to.
    pub generation: u32,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Keeps the size a multiple of 4.
    pub reserved: [u8; 3],
}

const _: () = assert!(size_of::<MatchState>() == 12);

/// The flags after the actions of one state.
///
/// Order matters: a `Host:` line opens a new request before its value can sanction it, and the end of a header block
/// settles what was seen in it, so neither header order nor a pipelined request evades anything.
#[must_use]
pub const fn settled(flags: u8, actions: u8) -> u8 {
    let mut f = flags;
    if actions & action::HOST_LINE != 0 {
        f &= !flag::SANCTIONED;
    }
    if actions & action::HOST_SANCTIONED != 0 {
        f |= flag::SANCTIONED;
    }
    if actions & action::MCP_HEADER != 0 {
        f |= flag::MCP_IN_HEADERS | flag::MCP;
    }
    if actions & action::MCP_BODY != 0 {
        f |= flag::MCP;
        if f & flag::SANCTIONED == 0 {
            f |= flag::UNSANCTIONED;
        }
    }
    if actions & action::HEADERS_END != 0 {
        if f & (flag::MCP_IN_HEADERS | flag::SANCTIONED) == flag::MCP_IN_HEADERS {
            f |= flag::UNSANCTIONED;
        }
        f &= !flag::MCP_IN_HEADERS;
    }
    f
}

/// `table[index & (MAX_TRANSITIONS - 1)]`.
#[cfg(not(target_arch = "bpf"))]
#[inline(always)]
fn transition(table: &[u16; MAX_TRANSITIONS], index: usize) -> u16 {
    table[index & (MAX_TRANSITIONS - 1)]
}

/// The same, with the mask as the last operation on the index: LLVM otherwise applies it to the parts before it joins
/// them, and the verifier of 6.1 knows no bound for the result of an OR.
#[cfg(target_arch = "bpf")]
#[expect(unsafe_code, reason = "assembly keeps the order, and hides the bound from the compiler")]
#[inline(always)]
fn transition(table: &[u16; MAX_TRANSITIONS], mut index: usize) -> u16 {
    // SAFETY: changes one register, as described; the index is then below the length of the table.
    unsafe {
        core::arch::asm!("{0} &= {1}", inout(reg) index, const MAX_TRANSITIONS - 1, options(pure, nomem, nostack));
        *table.get_unchecked(index)
    }
}

impl Automaton {
    /// An automaton in which nothing matches, made on the heap: it is too large for a stack.
    #[cfg(feature = "alloc")]
    #[must_use]
    #[expect(unsafe_code, reason = "a zeroed box without a 2 MiB temporary")]
    pub fn boxed() -> alloc::boxed::Box<Self> {
        // SAFETY: every field is an integer or an array of integers, for which zero is valid.
        let mut a = unsafe { alloc::boxed::Box::<Self>::new_zeroed().assume_init() };
        for flags in 0..flag::COMBINATIONS {
            for actions in 0..action::COMBINATIONS {
                a.settle[flags * action::COMBINATIONS + actions] = settled(flags as u8, actions as u8);
            }
        }
        a
    }

    /// One byte: the next state. Indices are masked, not trusted: the verifier needs the bound.
    #[inline(always)]
    pub fn step(&self, state: u32, byte: u8) -> u32 {
        let class = self.classes[byte as usize] as usize;
        let row = (state as usize) << (self.stride2 & 15);
        transition(&self.trans, row | class) as u32
    }

    /// The flags after entering a state.
    #[inline(always)]
    pub fn enter(&self, state: u32, flags: u8) -> u8 {
        let actions = self.actions[state as usize & (MAX_STATES - 1)] as usize & (action::COMBINATIONS - 1);
        self.settle[(flags as usize & (flag::COMBINATIONS - 1)) * action::COMBINATIONS + actions]
    }

    /// 0 when none of these eight bytes leaves [`Self::idle`]. Most text has no byte with which a pattern begins for long
    /// stretches, and looking for one costs a tenth of eight steps.
    #[inline(always)]
    pub fn stirs(&self, word: u64) -> u64 {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = LOW << 7;
        // Zero bytes of `word ^ repeated` (Hacker's Delight, 6-1); one that is not there may be reported, none is missed.
        let has = |byte: u8| {
            let x = word ^ LOW.wrapping_mul(byte as u64);
            x.wrapping_sub(LOW) & !x & HIGH
        };
        has(self.wake[0]) | has(self.wake[1])
    }

    /// Finds [`Self::idle`] and [`Self::wake`] in a finished table.
    pub fn find_idle(&mut self) {
        self.idle = u16::MAX;
        for state in 0..MAX_STATES as u32 {
            if (state as usize) << self.stride2 >= MAX_TRANSITIONS || self.actions[state as usize] != 0 {
                continue;
            }
            let mut leaving = (0..=u8::MAX).filter(|b| self.step(state, *b) != state);
            let (first, second, third) = (leaving.next(), leaving.next(), leaving.next());
            if let (Some(first), None) = (first, third) {
                self.idle = state as u16;
                self.wake = [first, second.unwrap_or(first)];
                return;
            }
        }
    }

    /// Starts on a stream that this automaton has not seen: a new one, or one that an older policy judged. What the old
    /// one called unsanctioned may be sanctioned now; a denial that was carried out is remembered elsewhere. A stream
    /// that is joined at an HTTP/2 frame (whose length starts with a zero byte) is left to user space, as one that is
    /// seen from its preface is.
    #[inline(always)]
    pub fn join(&self, m: &mut MatchState, first: u8) {
        if m.generation != self.generation {
            m.generation = self.generation;
            m.state = self.start;
            m.flags &= !flag::UNSANCTIONED;
            if first == 0 {
                m.flags |= flag::SANCTIONED;
            }
        }
    }

    /// Runs over a piece of a stream; pieces of any size give the same result.
    pub fn run(&self, m: &mut MatchState, bytes: &[u8]) {
        if let Some(&first) = bytes.first() {
            self.join(m, first);
        }
        for &b in bytes {
            m.state = self.step(m.state, b);
            m.flags = self.enter(m.state, m.flags);
        }
    }
}
