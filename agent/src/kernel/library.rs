//! Which files are TLS libraries, and where in them the probes go.

use super::site;
use object::{
    Object as _, ObjectSegment as _, ObjectSymbol as _,
    read::{ReadCache, elf::ElfFile64},
};
use std::{fs::File, io, os::unix::fs::MetadataExt as _, path::Path};

/// Identity of a file, whatever it is called and in whichever mount namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub device: u64,
    pub inode: u64,
    /// A file rewritten in place keeps its inode.
    pub modified: i64,
    pub size: u64,
}

/// `OVERLAYFS_SUPER_MAGIC` of statfs(2).
const OVERLAYFS: u64 = 0x794c_7630;

impl FileId {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let m = file.metadata()?;
        // Each mount of an overlay has a device of its own, but a probe goes to the file below, once for all of them.
        let overlay = rustix::fs::fstatfs(file).is_ok_and(|s| s.f_type as u64 == OVERLAYFS);
        Ok(Self {
            device: if overlay { 0 } else { m.dev() },
            inode: m.ino(),
            modified: m.mtime() ^ m.mtime_nsec().rotate_left(32),
            size: m.size(),
        })
    }
}

/// A function of the OpenSSL API that is probed, and with which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub symbol: &'static str,
    /// Probed in every process that maps the file; the others only in processes that turned out to matter.
    pub always: bool,
    pub entry: &'static str,
    pub on_return: Option<&'static str>,
    /// Integer arguments that the program reads.
    pub arguments: usize,
}

/// A missing one is tolerated: OpenSSL 1.0 has no `_ex`, 3.3 brought `_ex2`.
pub(super) const FUNCTIONS: &[Function] = &[
    write("SSL_write"),
    write("SSL_write_ex"),
    // 3.3: flags come last, the first three arguments are the same.
    write("SSL_write_ex2"),
    Function { symbol: "SSL_free", always: true, entry: "tls_free", on_return: None, arguments: 1 },
    Function { symbol: "SSL_shutdown", always: true, entry: "tls_shutdown", on_return: None, arguments: 1 },
    Function {
        symbol: "SSL_read",
        always: false,
        entry: "tls_read",
        on_return: Some("tls_read_return"),
        arguments: 3,
    },
    Function {
        symbol: "SSL_read_ex",
        always: false,
        entry: "tls_read_ex",
        on_return: Some("tls_read_return"),
        arguments: 4,
    },
];

const fn write(symbol: &'static str) -> Function {
    Function { symbol, always: true, entry: "tls_write", on_return: None, arguments: 3 }
}

/// Where one function of one file is probed, as file offsets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub function: &'static Function,
    /// First instruction; return probes need it.
    pub entry: u64,
    /// See `site`.
    pub site: u64,
}

/// Where the functions are; empty when the file is not ELF for this machine or exports none of them.
///
/// Only headers, the symbol table and a few instructions are read: `node` is 100 MB.
pub(super) fn points(file: File) -> io::Result<Vec<Point>> {
    let cache = ReadCache::new(file);
    let Ok(elf) = ElfFile64::<object::Endianness, _>::parse(&cache) else {
        return Ok(Vec::new());
    };
    if elf.architecture() != object::Architecture::X86_64 {
        return Ok(Vec::new());
    }
    let mut points: Vec<Point> = Vec::new();
    let mut ex = None;
    for symbol in elf.dynamic_symbols() {
        if symbol.is_undefined() || symbol.size() == 0 && symbol.address() == 0 {
            continue;
        }
        let Some(function) = symbol.name().ok().and_then(|name| FUNCTIONS.iter().find(|f| f.symbol == name))
        else {
            continue;
        };
        if points.iter().any(|p| p.function == function) {
            continue;
        }
        let Some((entry, code)) = locate(&elf, symbol.address()) else {
            continue;
        };
        points.push(Point { function, entry, site: entry + site::entry_site(&code, function.arguments) });
        if function.symbol == "SSL_write_ex" {
            ex = Some(code);
        }
    }
    // Since OpenSSL 3.3 one is a call of the other, and both probes would see the same write.
    let start = |symbol| points.iter().find(|p| p.function.symbol == symbol).map(|p| p.entry);
    if let (Some(code), Some(ex), Some(ex2)) = (ex, start("SSL_write_ex"), start("SSL_write_ex2"))
        && site::branches_to(&code, ex, ex2)
    {
        points.retain(|p| p.function.symbol != "SSL_write_ex");
    }
    // Without a write there is nothing to follow: a program that only links against the library exports none of these.
    if !points.iter().any(|p| p.function.entry == "tls_write") {
        points.clear();
    }
    Ok(points)
}

/// File offset of an address, and the code there.
fn locate<'d, R: object::ReadRef<'d>>(
    elf: &ElfFile64<'d, object::Endianness, R>,
    address: u64,
) -> Option<(u64, Vec<u8>)> {
    let segment = elf.segments().find(|s| s.address() <= address && address < s.address() + s.size())?;
    let into = address - segment.address();
    let (start, size) = segment.file_range();
    let code = segment.data_range(address, (site::WINDOW as u64).min(size.checked_sub(into)?)).ok()??;
    Some((start + into, code.to_vec()))
}

/// Whether a mapped file may be a TLS library: by name, or because it is a program (Node exports OpenSSL's API).
pub(super) fn plausible(path: &Path, is_executable: bool) -> bool {
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
        return false;
    };
    is_executable || name.starts_with("libssl") || name.starts_with("libnode")
}
