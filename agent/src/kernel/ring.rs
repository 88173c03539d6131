//! Records out of the ring buffers.

use super::{KernelError, maps};
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use aya_log::EbpfLogger;
use gnomon_common::record::{Accept, Bound, Connect, Dropped, Fork, Header, kind};
use std::{os::fd::AsFd as _, time::Duration};

/// The two rings: data, and control (verdicts, connections, processes), which goes first.
#[expect(missing_debug_implementations, reason = "aya's maps have none")]
pub struct Rings {
    data: RingBuf<MapData>,
    control: RingBuf<MapData>,
    /// Diagnostics of the programs; present when they are on.
    diagnostics: Option<EbpfLogger<&'static dyn log::Log>>,
}

/// One record, borrowed from the ring.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub header: Header,
    pub payload: &'a [u8],
}

impl Rings {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let diagnostics = tracing::enabled!(target: "gnomon", tracing::Level::DEBUG)
            .then(|| {
                EbpfLogger::init(ebpf)
                    .map_err(|error| tracing::warn!(%error, "no diagnostics from the programs"))
                    .ok()
            })
            .flatten();
        Ok(Self { data: maps::typed(ebpf, "DATA")?, control: maps::typed(ebpf, "CONTROL")?, diagnostics })
    }

    /// Waits until there are records, or for `timeout`.
    pub fn wait(&self, timeout: Duration) -> Result<(), KernelError> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [
            PollFd::from_borrowed_fd(self.data.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN),
        ];
        let timeout =
            Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(KernelError::Poll(e.into())),
        }
    }

    /// Hands over up to `budget` data records, and before each of them all control records. Returns how many data
    /// records there were.
    pub fn drain(&mut self, budget: usize, mut handle: impl FnMut(Record<'_>)) -> usize {
        if let Some(logger) = &mut self.diagnostics {
            logger.flush();
        }
        for done in 0..budget {
            while let Some(item) = self.control.next() {
                if let Some(record) = Record::parse(&item) {
                    handle(record);
                }
            }
            match self.data.next() {
                Some(item) => {
                    if let Some(record) = Record::parse(&item) {
                        handle(record);
                    }
                }
                None => return done,
            }
        }
        budget
    }
}

impl<'a> Record<'a> {
    /// None for a record shorter than it says, which the programs do not make.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header: Header = read(bytes)?;
        let payload = bytes.get(size_of::<Header>()..)?.get(..header.len as usize)?;
        Some(Self { header, payload })
    }

    pub fn connect(&self) -> Option<Connect> {
        (self.header.kind == kind::CONNECT).then(|| read(self.payload))?
    }

    pub fn accept(&self) -> Option<Accept> {
        (self.header.kind == kind::ACCEPT).then(|| read(self.payload))?
    }

    pub fn bound(&self) -> Option<Bound> {
        (self.header.kind == kind::BOUND).then(|| read(self.payload))?
    }

    pub fn dropped(&self) -> Option<Dropped> {
        (self.header.kind == kind::DROPPED).then(|| read(self.payload))?
    }

    pub fn fork(&self) -> Option<Fork> {
        (self.header.kind == kind::FORK).then(|| read(self.payload))?
    }
}

/// Types of the ring: `repr(C)` integers, any bit pattern valid.
trait Plain: Copy {}
impl Plain for Header {}
impl Plain for Connect {}
impl Plain for Accept {}
impl Plain for Bound {}
impl Plain for Dropped {}
impl Plain for Fork {}

fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    let bytes = bytes.get(..size_of::<T>())?;
    // SAFETY: the slice is as long as T, the read may be unaligned, and T is plain integers.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}
