//! Every string and number of a document, with its path.

use std::{borrow::Cow, fmt::Write};

use super::{
    Error, Text,
    cursor::{BitStack, Cursor},
};

/// A string, number or member name inside a document.
#[derive(Debug)]
pub(crate) struct Leaf<'a, 'p> {
    pub(crate) kind: LeafKind,
    /// Decoded bytes.
    pub(crate) bytes: Cow<'a, [u8]>,
    /// Path from the root: `params.items[2].text`. For a name, the path of the member it names.
    pub(crate) path: &'p str,
    /// The nearest member name, which says what the value is.
    pub(crate) name: &'p str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeafKind {
    Key,
    String,
    Number,
}

/// Shortest leaf worth a visit: no detector matches less.
const SHORTEST: usize = 6;
/// Longest part of a member name kept in a path.
const NAME: usize = 64;

/// Visits every leaf of one value, in order, and returns where the value ends. Nesting deeper than `depth` keeps the
/// path of its ancestor.
pub(crate) fn walk<'a>(
    bytes: &'a [u8],
    root: &str,
    depth: usize,
    mut visit: impl FnMut(Leaf<'a, '_>),
) -> Result<usize, Error> {
    let mut walk =
        Walk { cursor: Cursor::new(bytes), open: BitStack::default(), path: Path::new(root, depth) };
    loop {
        match walk.cursor.peek()? {
            b'{' => {
                walk.cursor.bump();
                if walk.cursor.peek()? == b'}' {
                    walk.cursor.bump();
                } else {
                    walk.open.push(true);
                    walk.path.enter();
                    walk.member(&mut visit)?;
                    continue;
                }
            }
            b'[' => {
                walk.cursor.bump();
                if walk.cursor.peek()? == b']' {
                    walk.cursor.bump();
                } else {
                    walk.open.push(false);
                    walk.path.enter();
                    walk.path.index(walk.open.depth());
                    continue;
                }
            }
            b'"' => {
                let text = walk.cursor.string()?;
                if text.raw.len() >= SHORTEST {
                    visit(walk.path.leaf(LeafKind::String, text.bytes()));
                }
            }
            _ => {
                let token = walk.cursor.scalar()?;
                if token.len() >= SHORTEST {
                    visit(walk.path.leaf(LeafKind::Number, Cow::Borrowed(token)));
                }
            }
        }
        loop {
            let Some(object) = walk.open.top() else { return Ok(walk.cursor.at()) };
            match (walk.cursor.peek()?, object) {
                (b',', true) => {
                    walk.cursor.bump();
                    walk.member(&mut visit)?;
                    break;
                }
                (b',', false) => {
                    walk.cursor.bump();
                    walk.path.index(walk.open.depth());
                    break;
                }
                (b'}', true) | (b']', false) => {
                    walk.cursor.bump();
                    walk.path.leave(walk.open.depth());
                    walk.open.pop();
                }
                _ => return Err(Error::Syntax),
            }
        }
    }
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    open: BitStack,
    path: Path,
}

impl<'a> Walk<'a> {
    fn member(&mut self, visit: &mut impl FnMut(Leaf<'a, '_>)) -> Result<(), Error> {
        let key: Text<'a> = self.cursor.key()?;
        let bytes = key.bytes();
        self.path.member(self.open.depth(), &bytes);
        if bytes.len() >= SHORTEST {
            visit(self.path.leaf(LeafKind::Key, bytes));
        }
        Ok(())
    }
}

/// The path to where the walk is, kept up to `limit` levels.
struct Path {
    text: String,
    /// Per level: length of `text` without the level's own part, start of its name, number of elements so far.
    levels: Vec<Level>,
    limit: usize,
    name: std::ops::Range<usize>,
}

struct Level {
    base: usize,
    index: usize,
    outer_name: std::ops::Range<usize>,
}

impl Path {
    fn new(root: &str, limit: usize) -> Self {
        // The name of the root is its last part.
        let start = root.rfind('.').map_or(0, |dot| dot + 1);
        Self { text: root.to_owned(), levels: Vec::new(), limit, name: start..root.len() }
    }

    fn enter(&mut self) {
        if self.levels.len() < self.limit {
            self.levels.push(Level { base: self.text.len(), index: 0, outer_name: self.name.clone() });
        }
    }

    /// `depth` counts open brackets, so levels beyond the limit leave the path alone.
    fn member(&mut self, depth: usize, key: &[u8]) {
        if depth > self.limit {
            return;
        }
        let Some(level) = self.levels.last() else { return };
        self.text.truncate(level.base);
        if !self.text.is_empty() {
            self.text.push('.');
        }
        let start = self.text.len();
        let cut = &key[..key.len().min(NAME)];
        self.text.push_str(&String::from_utf8_lossy(cut));
        self.name = start..self.text.len();
    }

    fn index(&mut self, depth: usize) {
        if depth > self.limit {
            return;
        }
        let Some(level) = self.levels.last_mut() else { return };
        self.text.truncate(level.base);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "[{}]", level.index);
        level.index += 1;
        self.name = level.outer_name.clone();
    }

    fn leave(&mut self, depth: usize) {
        if depth > self.limit {
            return;
        }
        if let Some(level) = self.levels.pop() {
            self.text.truncate(level.base);
            self.name = level.outer_name;
        }
    }

    fn leaf<'a>(&self, kind: LeafKind, bytes: Cow<'a, [u8]>) -> Leaf<'a, '_> {
        Leaf { kind, bytes, path: &self.text, name: self.text.get(self.name.clone()).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(text: &str, depth: usize) -> Vec<String> {
        let mut seen = Vec::new();
        walk(text.as_bytes(), "params", depth, |leaf| {
            seen.push(format!("{}={} ({})", leaf.path, String::from_utf8_lossy(&leaf.bytes), leaf.name));
        })
        .unwrap();
        seen
    }

    #[test]
    fn names_every_leaf() {
        let text = r#"{"a":["string","second",{"b":"inner\/x"}],"c":4111111111,"d":[["deepest"]],"e":"x"}"#;
        assert_eq!(
            leaves(text, 16),
            [
                "params.a[0]=string (a)",
                "params.a[1]=second (a)",
                "params.a[2].b=inner/x (b)",
                "params.c=4111111111 (c)",
                "params.d[0][0]=deepest (d)",
            ]
        );
    }

    #[test]
    fn deep_leaves_take_the_name_of_their_ancestor() {
        assert_eq!(
            leaves(r#"{"a":{"b":{"c":"string"}},"d":"string"}"#, 2),
            ["params.a.b=string (b)", "params.d=string (d)"]
        );
    }

    #[test]
    fn long_names_are_leaves() {
        assert_eq!(leaves(r#"{"abcdefg":1}"#, 2), ["params.abcdefg=abcdefg (abcdefg)"]);
    }
}
