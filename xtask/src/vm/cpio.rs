//! The archive format that kernels unpack as their first root file system: "newc" (Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst).
use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;

/// Writes entries one after another. A folder must come before what is in it.
pub(super) struct Writer<W> {
    out: W,
    entries: u32,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, entries: 0 }
    }

    /// `path` without a leading slash.
    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, DIRECTORY, &[])
    }

    /// A file that everybody may run: some are programs, and it harms none of the others.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        self.entry(path, EXECUTABLE, content)
    }

    /// Writes the end mark.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.entry("TRAILER!!!", 0, &[])?;
        self.out.flush()
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.entries += 1;
        let size =
            u32::try_from(content.len()).map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, path))?;
        let name_size = u32::try_from(path.len() + 1)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidFilename, path))?;
        // inode, mode, uid, gid, links, mtime, size, device (2), rdev (2), name size, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        let mut header = b"070701".to_vec();
        for field in fields {
            write!(header, "{field:08x}")?;
        }
        header.extend_from_slice(path.as_bytes());
        header.push(0);
        pad(&mut header);
        self.out.write_all(&header)?;
        self.out.write_all(content)?;
        let padding = content.len().next_multiple_of(4) - content.len();
        self.out.write_all(&[0; 3][..padding])
    }
}

/// Header with name, and content, each end at a multiple of four bytes.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::Writer;

    #[test]
    fn one_file_as_the_kernel_documents_it() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out);
        writer.file("init", b"hello").unwrap();
        writer.finish().unwrap();
        let expected = b"070701\
            00000001000081ed00000000000000000000000100000000\
            00000005000000000000000000000000000000000000000500000000\
            init\0\0hello\0\0\0";
        assert_eq!(String::from_utf8_lossy(&out[..expected.len()]), String::from_utf8_lossy(expected));
        assert!(out[expected.len()..].windows(11).any(|window| window == b"TRAILER!!!\0"));
        assert_eq!(out.len() % 4, 0);
    }
}
