//! Places uprobes as TLS libraries and processes come, and takes them away as they go.
//!
//! Writes are probed per file, in every process that maps it: a probe per process would come too late for a short
//! one, and the program leaves at once where no outbound connection was opened. Reads cost a return probe, so they
//! are probed per process, from its first connection until user space says that it is not worth it.
//!
//! Attaching takes milliseconds; all of it is done on one thread of its own, fed by [`Request`]s.

use super::{
    KernelError,
    library::{self, FileId, Point},
    load, release_memory,
};
use aya::{
    Ebpf,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeLink, UProbeScope},
    },
};
use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    num::NonZeroU32,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How often the well-known files are looked at again: a package upgrade replaces them.
const RESCAN: Duration = Duration::from_secs(1);
/// Retired probes are taken away after so long without a new connection, or when there are more than so many.
const QUIET: Duration = Duration::from_secs(2);
const MAX_RETIRED: usize = 32;
/// Files known not to be TLS libraries; forgotten together when there are more.
const MAX_CHECKED: usize = 65_536;
/// Folders of shared libraries and programs that most processes use, probed before any process maps them.
const LIBRARY_FOLDERS: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/ssl/lib64",
    "/opt/openssl/lib64",
];
const PROGRAMS: &[&str] = &["/usr/bin/node", "/usr/local/bin/node", "/usr/bin/nodejs"];

/// The loaded uprobe programs, and the object that they and all other programs live in.
#[derive(Debug)]
pub struct Programs(Ebpf);

impl Programs {
    pub(super) const NAMES: [&str; 6] =
        ["tls_write", "tls_free", "tls_shutdown", "tls_read", "tls_read_ex", "tls_read_return"];

    pub(super) fn new(ebpf: Ebpf) -> Self {
        Self(ebpf)
    }
}

/// What the probing thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A process started another program: look at what it maps.
    Look(u32),
    /// A process opened a connection: look at what it maps, and follow what it reads.
    Follow(u32),
    /// Nothing that a process sends is of interest: stop following its reads.
    Unfollow(u32),
    /// A process ended.
    Forget(u32),
}

/// The probing thread. Dropping it takes every probe and every program out of the kernel.
#[derive(Debug)]
pub struct Probes {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Probes {
    /// Probes the well-known files and those that running processes map, then waits for requests. Returns when the
    /// first round is done, so that what starts afterwards is seen.
    pub fn start(programs: Programs) -> Result<Self, KernelError> {
        let (requests, receiver) = channel();
        let (ready, is_ready) = channel();
        let thread = std::thread::Builder::new()
            .name("probes".into())
            .spawn(move || {
                let mut placer = Placer::new(programs);
                placer.well_known();
                placer.running();
                release_memory();
                let _ = ready.send(());
                placer.serve(&receiver);
            })
            .map_err(KernelError::Poll)?;
        let _ = is_ready.recv();
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// A handle for another thread.
    pub fn requests(&self) -> Option<Sender<Request>> {
        self.requests.clone()
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Placer {
    programs: Programs,
    /// Probed files.
    files: HashMap<FileId, Library>,
    /// Files without the functions.
    checked: HashSet<FileId>,
    /// Probes on the reads of one process.
    reads: HashMap<u32, Vec<UProbeLink>>,
    /// Probes of processes that are gone, to be taken away when nothing else is to be done: that takes
    /// the kernel 100 ms for each, and holds up the placing of others.
    retired: Vec<UProbeLink>,
}

/// A TLS library that a process maps.
struct Mapped {
    file: FileId,
    /// It is the program itself.
    is_program: bool,
}

struct Library {
    /// Kept open: a path through it leads to this very file, whatever becomes of its name and of the process in which
    /// it was found.
    file: File,
    points: Vec<Point>,
    _links: Vec<UProbeLink>,
}

impl Library {
    fn path(file: &File) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }
}

impl Placer {
    fn new(programs: Programs) -> Self {
        Self {
            programs,
            files: HashMap::new(),
            checked: HashSet::new(),
            reads: HashMap::new(),
            retired: Vec::new(),
        }
    }

    fn serve(&mut self, requests: &Receiver<Request>) {
        let mut rescan = Instant::now() + RESCAN;
        let mut busy = Instant::now();
        loop {
            let now = Instant::now();
            if now >= rescan {
                self.well_known();
                rescan = now + RESCAN;
            }
            let retire = !self.retired.is_empty() && (now > busy + QUIET || self.retired.len() > MAX_RETIRED);
            let wait = if retire { Duration::ZERO } else { rescan.saturating_duration_since(now) };
            match requests.recv_timeout(wait) {
                Ok(Request::Look(pid)) => {
                    // A program that brings its own TLS library will read through it: its probes are in place before
                    // its first connection. Others map theirs later.
                    if self.look(pid).iter().any(|library| library.is_program) {
                        self.follow(pid);
                    }
                }
                Ok(Request::Follow(pid)) => {
                    self.follow(pid);
                    busy = Instant::now();
                }
                // It lives, and pays for its probes at every read.
                Ok(Request::Unfollow(pid)) => drop(self.reads.remove(&pid)),
                Ok(Request::Forget(pid)) => {
                    self.retired.extend(self.reads.remove(&pid).unwrap_or_default());
                }
                Err(RecvTimeoutError::Timeout) if retire => drop(self.retired.pop()),
                Err(RecvTimeoutError::Timeout) => {}
                // The agent stops; a request may be held by a thread that has not stopped yet.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn well_known(&mut self) {
        for folder in LIBRARY_FOLDERS {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                if library::plausible(Path::new(&entry.file_name()), false) {
                    self.examine(&entry.path());
                }
            }
        }
        for program in PROGRAMS {
            self.examine(Path::new(program));
        }
    }

    fn running(&mut self) {
        let Ok(entries) = fs::read_dir("/proc") else { return };
        for pid in entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()) {
            self.look(pid);
        }
    }

    /// Probes the TLS libraries that a process maps.
    fn look(&mut self, pid: u32) -> Vec<Mapped> {
        let exe = PathBuf::from(format!("/proc/{pid}/exe"));
        mapped(pid)
            .into_iter()
            .filter_map(|path| Some(Mapped { file: self.examine(&path)?, is_program: path == exe }))
            .collect()
    }

    fn follow(&mut self, pid: u32) {
        let Some(scope) = NonZeroU32::new(pid) else { return };
        if self.reads.contains_key(&pid) {
            return;
        }
        let libraries = self.look(pid);
        let mut links = Vec::new();
        for library in libraries.iter().filter_map(|m| self.files.get(&m.file)) {
            let path = Library::path(&library.file);
            for point in library.points.iter().filter(|p| !p.function.always) {
                links.extend(place(&mut self.programs, &path, point, UProbeScope::OneProcess(scope)));
            }
        }
        if !links.is_empty() {
            tracing::debug!(pid, probes = links.len(), "following reads");
            self.reads.insert(pid, links);
        }
    }

    /// Probes a file if it is a TLS library that is not probed yet. None if it is not one.
    fn examine(&mut self, path: &Path) -> Option<FileId> {
        let file = File::open(path).ok()?;
        let id = FileId::of(&file).ok()?;
        if self.files.contains_key(&id) {
            return Some(id);
        }
        if self.checked.contains(&id) {
            return None;
        }
        let points = match file.try_clone().and_then(library::points) {
            Ok(points) => points,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "cannot read");
                Vec::new()
            }
        };
        if points.is_empty() {
            if self.checked.len() >= MAX_CHECKED {
                self.checked.clear();
            }
            self.checked.insert(id);
            return None;
        }
        let mut links = Vec::new();
        let steady = Library::path(&file);
        for point in points.iter().filter(|p| p.function.always) {
            links.extend(place(&mut self.programs, &steady, point, UProbeScope::AllProcesses));
        }
        tracing::info!(
            path = %fs::read_link(&steady).unwrap_or_else(|_| path.to_owned()).display(),
            functions = ?points.iter().map(|p| (p.function.symbol, p.site - p.entry)).collect::<Vec<_>>(),
            "TLS library probed"
        );
        self.files.insert(id, Library { file, points, _links: links });
        release_memory();
        Some(id)
    }
}

fn place(programs: &mut Programs, path: &Path, point: &Point, scope: UProbeScope) -> Vec<UProbeLink> {
    let sites = [(Some(point.function.entry), point.site), (point.function.on_return, point.entry)];
    let mut links = Vec::new();
    for (name, offset) in sites {
        let Some(name) = name else { continue };
        let done = load::program::<UProbe>(&mut programs.0, name).and_then(|program| {
            let failed = |e: aya::programs::ProgramError| KernelError::Program {
                name,
                what: "cannot be attached",
                source: e.into(),
            };
            let id =
                program.attach(UProbeAttachLocation::AbsoluteOffset(offset), path, scope).map_err(failed)?;
            program.take_link(id).map_err(failed)
        });
        match done {
            Ok(link) => links.push(link),
            // It ended meanwhile.
            Err(_) if matches!(scope, UProbeScope::OneProcess(pid) if !alive(pid)) => return links,
            Err(error) => {
                let reason = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(path = %path.display(), symbol = point.function.symbol, %error, reason, "not probed");
            }
        }
    }
    links
}

fn alive(pid: NonZeroU32) -> bool {
    Path::new("/proc").join(pid.to_string()).join("maps").exists()
}

/// Paths to the files that a process maps as code and that may be TLS libraries. They lead through `/proc`, so that
/// they hold in any mount namespace and for files that were deleted or replaced since.
fn mapped(pid: u32) -> Vec<PathBuf> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let Ok(maps) = fs::read_to_string(proc.join("maps")) else {
        return Vec::new();
    };
    let exe = fs::read_link(proc.join("exe")).unwrap_or_default();
    let mut seen = HashSet::new();
    let mut paths = Vec::new();
    for line in maps.lines() {
        let Some(mapping) = Mapping::parse(line) else { continue };
        let path = Path::new(mapping.path);
        if mapping.is_code && library::plausible(path, path == exe) && seen.insert(mapping.file) {
            paths.push(if path == exe {
                proc.join("exe")
            } else {
                proc.join("map_files").join(mapping.range)
            });
        }
    }
    paths
}

/// One line of `/proc/PID/maps` that maps a file (proc_pid_maps(5)).
struct Mapping<'a> {
    range: &'a str,
    is_code: bool,
    /// Device and inode, as printed.
    file: (&'a str, &'a str),
    path: &'a str,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (range, permissions, _offset) = (fields.next()?, fields.next()?, fields.next()?);
        let (device, inode) = (fields.next()?, fields.next()?);
        let path = fields.next()?.trim_start();
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        path.starts_with('/').then(|| Self {
            range,
            is_code: permissions.as_bytes().get(2) == Some(&b'x'),
            file: (device, inode),
            path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_maps() {
        let line =
            "7f2c-7f2d r-xp 00002000 fe:00 1234                       /usr/lib/a b/libssl.so.3 (deleted)";
        let m = Mapping::parse(line).unwrap();
        assert_eq!(
            (m.range, m.is_code, m.file, m.path),
            ("7f2c-7f2d", true, ("fe:00", "1234"), "/usr/lib/a b/libssl.so.3")
        );
        assert!(Mapping::parse("7ffd-7ffe rw-p 00000000 00:00 0                          [stack]").is_none());
        assert!(Mapping::parse("7ffd-7ffe rw-p 00000000 00:00 0").is_none());
    }
}
