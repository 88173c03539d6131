//! Looking for the next head after bytes were lost.

use crate::Direction;

/// Longest start line looked for.
const LINE: usize = 8 << 10;

/// Searches line by line; holds at most one start line.
#[derive(Debug, Default)]
pub(crate) struct Hunt {
    line: Vec<u8>,
}

impl Hunt {
    pub(crate) fn buffered(&self) -> usize {
        self.line.capacity()
    }

    /// Takes bytes until a start line is complete. Returns the bytes taken, and the line with its LF when found.
    pub(crate) fn push(&mut self, bytes: &[u8], direction: Direction) -> (usize, Option<Vec<u8>>) {
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let room = LINE - self.line.len();
            let end = memchr::memchr(b'\n', &rest[..rest.len().min(room)]);
            let length = end.map_or(rest.len().min(room), |end| end + 1);
            self.line.extend_from_slice(&rest[..length]);
            taken += length;
            if end.is_some() {
                let start = start_line(&self.line, direction).map(|at| self.line[at..].to_vec());
                self.line.clear();
                if start.is_some() {
                    return (taken, start);
                }
            } else if self.line.len() == LINE {
                self.line.drain(..LINE / 2);
            }
        }
        (taken, None)
    }
}

/// Where in the line a start line begins: at its front, or right after the bracket that ended a JSON body.
fn start_line(line: &[u8], direction: Direction) -> Option<usize> {
    let text = line.trim_ascii_end();
    match direction {
        Direction::Response => {
            let at = memchr::memmem::rfind(text, b"HTTP/1.")?;
            let rest = &text[at + 7..];
            let status = matches!(rest, [b'0' | b'1', b' ', a, b, c, ..]
                if a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit());
            (status && may_begin(text, at)).then_some(at)
        }
        Direction::Request => {
            let version = text.len().checked_sub(9)?;
            if !text[version..].starts_with(b" HTTP/1.") {
                return None;
            }
            let target = memchr::memrchr(b' ', &text[..version])?;
            let method = text[..target].iter().rev().take_while(|b| b.is_ascii_uppercase()).count();
            let at = target - method;
            (method >= 3 && may_begin(text, at)).then_some(at)
        }
    }
}

fn may_begin(line: &[u8], at: usize) -> bool {
    at.checked_sub(1).is_none_or(|before| matches!(line[before], b'}' | b']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_start_lines() {
        for (line, direction, want) in [
            ("POST /mcp HTTP/1.1\r\n", Direction::Request, Some(0)),
            ("1}}POST /mcp HTTP/1.1\r\n", Direction::Request, Some(3)),
            ("say POST /mcp HTTP/1.1\r\n", Direction::Request, None),
            ("}HTTP/1.1 200 OK\r\n", Direction::Response, Some(1)),
            ("HTTP/1.1 abc\r\n", Direction::Response, None),
            (" HTTP/1.1\n", Direction::Request, None),
        ] {
            assert_eq!(start_line(line.as_bytes(), direction), want, "{line}");
        }
    }
}
