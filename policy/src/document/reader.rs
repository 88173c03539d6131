//! Typed access to the tree; every refusal is recorded with its place, and reading goes on.

use super::suggest::nearest;
use crate::decide::quote;
use crate::error::Diagnostic;
use crate::yaml::{Node, Position, Value};

/// Problems reported at most: a file of another kind altogether would fill screens.
const MAX_DIAGNOSTICS: usize = 100;
/// Longest text of one value, in bytes.
const MAX_TEXT: usize = 1024;
/// Longest list.
const MAX_ITEMS: usize = 4096;
/// Longest identifier, in bytes.
const MAX_ID: usize = 64;

/// Collects problems.
pub(super) struct Reader<'k> {
    diagnostics: Vec<Diagnostic>,
    /// Known data classes; none means that any is accepted.
    pub(super) data_classes: &'k [&'k str],
}

/// The entries of one mapping, each key at most once and known.
pub(super) struct Fields<'n> {
    at: Position,
    entries: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, node)| *node)
    }
}

impl<'k> Reader<'k> {
    pub(super) fn new(data_classes: &'k [&'k str]) -> Self {
        Reader { diagnostics: Vec::new(), data_classes }
    }

    pub(super) fn finish(self) -> Vec<Diagnostic> {
        self.diagnostics
    }

    pub(super) fn error(&mut self, at: Position, message: impl Into<String>) {
        self.report(at, message, None);
    }

    pub(super) fn report(&mut self, at: Position, message: impl Into<String>, suggestion: Option<String>) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            let message = message.into();
            self.diagnostics.push(Diagnostic { line: at.line, column: at.column, message, suggestion });
        }
    }

    /// A mapping with these keys and no others. `what` names it in messages.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, what: &str, keys: &[&str]) -> Option<Fields<'n>> {
        let Value::Map(pairs) = &node.value else {
            self.wrong_type(node, &format!("a mapping for {what}"));
            return None;
        };
        let mut fields = Fields { at: node.at, entries: Vec::new() };
        for (key, value) in pairs {
            let Value::Scalar { text, .. } = &key.value else {
                self.error(key.at, format!("expected a name as key in {what}, found {}", key.kind()));
                continue;
            };
            if !keys.contains(&text.as_str()) {
                let message = format!("unknown key {} in {what}; expected {}", quote(text), any_of(keys));
                self.report(key.at, message, nearest(text, keys.iter().copied()));
            } else if fields.get(text).is_some() {
                self.error(key.at, format!("key {} is given twice in {what}", quote(text)));
            } else {
                fields.entries.push((text, value));
            }
        }
        Some(fields)
    }

    /// The value of a key that must be there.
    pub(super) fn required<'n>(&mut self, fields: &Fields<'n>, key: &str, what: &str) -> Option<&'n Node> {
        let node = fields.get(key);
        if node.is_none() {
            self.error(fields.at, format!("missing {key} in {what}"));
        }
        node
    }

    /// Text, not a number, a boolean or nothing.
    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, .. } if node.kind() == "text" => self.bounded(node, text, what),
            Value::Scalar { .. } if matches!(node.kind(), "a number" | "a boolean") => {
                self.error(
                    node.at,
                    format!("expected text for {what}, found {}: write it in quotes", node.kind()),
                );
                None
            }
            _ => {
                self.wrong_type(node, &format!("text for {what}"));
                None
            }
        }
    }

    /// Text, or a number as it is written.
    pub(super) fn text_or_number<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, .. } if node.kind() == "a number" => self.bounded(node, text, what),
            _ => self.text(node, what),
        }
    }

    fn bounded<'n>(&mut self, node: &Node, text: &'n str, what: &str) -> Option<&'n str> {
        if text.len() > MAX_TEXT {
            self.error(node.at, format!("text for {what} is longer than {MAX_TEXT} bytes"));
            return None;
        }
        Some(text)
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("unknown {what} {}; expected {}", quote(text), any_of(&names));
        self.report(node.at, message, nearest(text, names));
        None
    }

    /// An identifier: letters, digits, `.`, `_` and `-`.
    pub(super) fn id<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let text = self.text(node, what)?;
        let chars_ok = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if chars_ok && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.len() <= MAX_ID {
            return Some(text);
        }
        let message = format!(
            "bad {what} {}: expected up to {MAX_ID} letters, digits, \".\", \"_\" or \"-\", a letter or digit first",
            quote(text)
        );
        self.error(node.at, message);
        None
    }

    /// A list.
    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) if items.len() <= MAX_ITEMS => items,
            Value::List(_) => {
                self.error(node.at, format!("more than {MAX_ITEMS} entries in {what}"));
                &[]
            }
            _ => {
                self.wrong_type(node, &format!("a list for {what}"));
                &[]
            }
        }
    }

    /// One value or a list of them, not empty.
    pub(super) fn one_or_more<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::Scalar { .. } => std::slice::from_ref(node),
            Value::List(items) if items.is_empty() => {
                self.error(
                    node.at,
                    format!(
                        "empty list for {what}: it would match nothing; leave {what} out to match anything"
                    ),
                );
                &[]
            }
            Value::List(_) => self.list(node, what),
            Value::Map(_) => {
                self.wrong_type(node, &format!("text or a list of texts for {what}"));
                &[]
            }
        }
    }

    fn wrong_type(&mut self, node: &Node, expected: &str) {
        self.error(node.at, format!("expected {expected}, found {}", node.kind()));
    }
}

/// "a, b or c".
pub(super) fn any_of(names: &[&str]) -> String {
    match names {
        [] => "nothing".into(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
