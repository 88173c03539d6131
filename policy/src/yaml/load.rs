//! Events of the YAML parser to the tree.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::tree::{Node, Position, Value};
use crate::error::Diagnostic;

/// Largest document, in bytes.
const MAX_SOURCE: usize = 1 << 20;
/// Deepest nesting; the schema needs six.
const MAX_DEPTH: usize = 16;

/// A collection that is still open.
struct Open {
    at: Position,
    items: Vec<Node>,
    is_map: bool,
}

/// Reads exactly one document. `None` is an empty one.
///
/// Anchors, aliases and tags are refused: the schema has no use for them, and they are how a small document becomes a
/// huge one. The stack of open collections is explicit, so nesting costs no call stack.
pub(crate) fn load(source: &str) -> Result<Option<Node>, Diagnostic> {
    if source.len() > MAX_SOURCE {
        return Err(error(Position::START, format!("document is larger than {MAX_SOURCE} bytes")));
    }
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(source) {
        let (event, span) = event.map_err(|e| error(culprit(source, &e), e.info().to_owned()))?;
        let at = position(&span.start);
        let node = match event {
            Event::Alias(_) => {
                return Err(error(at, "aliases are not supported: write the value out".into()));
            }
            Event::Scalar(_, _, anchor, tag) if anchor != 0 || tag.is_some() => return Err(decorated(at)),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if anchor != 0 || tag.is_some() =>
            {
                return Err(decorated(at));
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() == MAX_DEPTH {
                    return Err(error(at, format!("nested deeper than {MAX_DEPTH} levels")));
                }
                open.push(Open { at, items: Vec::new(), is_map: matches!(event, Event::MappingStart(..)) });
                continue;
            }
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                Node { at, value: Value::Scalar { text: text.into_owned(), plain } }
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => closed.into_node(),
                None => return Err(error(at, "collection ends that was not open".into())),
            },
            Event::DocumentStart(_) if root.is_some() => {
                return Err(error(at, "a second document starts here: one file holds one policy".into()));
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.push(node),
            None => root = Some(node),
        }
    }
    Ok(root)
}

impl Open {
    fn push(&mut self, mut node: Node) {
        // A missing value has no token of its own: point at its key.
        if let (true, Value::Scalar { text, plain: true }, Some(key)) =
            (self.is_map && self.items.len() % 2 == 1, &node.value, self.items.last())
            && text.is_empty()
        {
            node.at = key.at;
        }
        self.items.push(node);
    }

    fn into_node(self) -> Node {
        let value = if self.is_map {
            let mut pairs = Vec::with_capacity(self.items.len() / 2);
            let mut items = self.items.into_iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        } else {
            Value::List(self.items)
        };
        Node { at: self.at, value }
    }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

/// Where the parser stopped; for a tab in indentation it names the text before it, so the tab is looked for.
fn culprit(source: &str, error: &ScanError) -> Position {
    let at = position(error.marker());
    if !error.info().contains("tab") {
        return at;
    }
    let tab = |line: &str| line.chars().take_while(|c| " \t".contains(*c)).position(|c| c == '\t');
    let mut lines = source.lines().enumerate().skip(at.line.saturating_sub(1));
    lines.find_map(|(i, line)| tab(line).map(|t| Position { line: i + 1, column: t + 1 })).unwrap_or(at)
}

fn error(at: Position, message: String) -> Diagnostic {
    Diagnostic { line: at.line, column: at.column, message, suggestion: None }
}

fn decorated(at: Position) -> Diagnostic {
    error(at, "anchors and tags are not supported: write the plain value".into())
}
