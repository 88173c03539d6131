//! The maps that user space writes and reads.

use super::KernelError;
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray},
};
use gnomon_common::{
    matcher::Automaton,
    state::{Settings, Socket, counter, steer},
};

/// Handles to the maps. All writes are single map operations; the programs see each whole or not at all, but for the
/// automata, which are switched by [`Settings::active_automaton`].
#[expect(missing_debug_implementations, reason = "aya's maps have none")]
pub struct Maps {
    settings: Array<MapData, Settings>,
    automata: Array<MapData, Automaton>,
    clients: HashMap<MapData, u32, u32>,
    sockets: HashMap<MapData, u64, Socket>,
    steer: HashMap<MapData, u64, u32>,
    counters: PerCpuArray<MapData, u64>,
    current: Settings,
}

/// Totals over all CPUs since loading, by [`counter`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters([u64; counter::COUNT as usize]);

impl Counters {
    /// One of the constants of [`counter`].
    pub fn get(&self, index: u32) -> u64 {
        self.0.get(index as usize).copied().unwrap_or(0)
    }
}

impl Maps {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let current = Settings { agent_tgid: std::process::id(), ..Settings::default() };
        let mut maps = Self {
            settings: typed(ebpf, "SETTINGS")?,
            automata: typed(ebpf, "AUTOMATA")?,
            clients: typed(ebpf, "CLIENTS")?,
            sockets: typed(ebpf, "SOCKETS")?,
            steer: typed(ebpf, "STEER")?,
            counters: typed(ebpf, "COUNTERS")?,
            current,
        };
        maps.write_settings(current)?;
        Ok(maps)
    }

    /// Puts an automaton in force: written to the unused slot first, then switched to.
    pub fn install(&mut self, automaton: &Automaton, enforce_unsanctioned: bool) -> Result<(), KernelError> {
        let slot = 1 - (self.current.active_automaton & 1);
        self.automata.set(slot, automaton, 0).map_err(named("AUTOMATA"))?;
        self.write_settings(Settings {
            active_automaton: slot,
            enforce_unsanctioned: u32::from(enforce_unsanctioned),
            ..self.current
        })
    }

    /// No new denials; sockets that are denied stay so.
    pub fn stand_down(&mut self) -> Result<(), KernelError> {
        self.write_settings(Settings { enforce_unsanctioned: 0, ..self.current })
    }

    /// A process is gone.
    pub fn remove_client(&mut self, tgid: u32) {
        // It may have made room for another already.
        let _ = self.clients.remove(&tgid);
    }

    /// Captures this process too, for measurements.
    pub(super) fn capture_self(&mut self) -> Result<(), KernelError> {
        self.write_settings(Settings { agent_tgid: 0, ..self.current })
    }

    fn write_settings(&mut self, settings: Settings) -> Result<(), KernelError> {
        self.settings.set(0, settings, 0).map_err(named("SETTINGS"))?;
        self.current = settings;
        Ok(())
    }

    /// Marks a process that had outbound connections before the hooks were there.
    pub fn add_client(&mut self, tgid: u32) -> Result<(), KernelError> {
        self.clients.insert(tgid, 1, 0).map_err(named("CLIENTS"))
    }

    /// What the kernel knows of a socket.
    pub fn socket(&self, cookie: u64) -> Option<Socket> {
        self.sockets.get(&cookie, 0).ok()
    }

    /// Denies whatever this stream still sends, when and wherever it does.
    pub fn deny(&mut self, stream: u64) -> Result<(), KernelError> {
        self.steer(stream, steer::DENY)
    }

    /// Captures all of a stream in which user space found MCP and the matcher did not.
    pub fn keep(&mut self, stream: u64) -> Result<(), KernelError> {
        self.steer(stream, steer::MCP)
    }

    fn steer(&mut self, stream: u64, bits: u32) -> Result<(), KernelError> {
        let bits = bits | self.steer.get(&stream, 0).unwrap_or(0);
        self.steer.insert(stream, bits, 0).map_err(named("STEER"))
    }

    /// The counters, summed over the CPUs.
    pub fn counters(&self) -> Counters {
        let mut totals = Counters::default();
        for (index, total) in totals.0.iter_mut().enumerate() {
            if let Ok(values) = self.counters.get(&(index as u32), 0) {
                *total = values.iter().sum();
            }
        }
        totals
    }
}

fn named(name: &'static str) -> impl Fn(MapError) -> KernelError {
    move |e| KernelError::Map { name, source: e.into() }
}

pub(super) fn typed<T>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, KernelError>
where
    T: TryFrom<Map, Error = MapError>,
{
    T::try_from(ebpf.take_map(name).ok_or(KernelError::Missing { name })?).map_err(named(name))
}

// The aliases of aya hide which types may cross; this keeps the list visible.
const _: fn() = || {
    fn pod<T: Pod>() {}
    pod::<Settings>();
    pod::<Automaton>();
    pod::<Socket>();
};
