//! The tree.

/// Where a token starts; both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    pub(crate) const START: Position = Position { line: 1, column: 1 };
}

/// A value and where it starts.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    /// `plain` is false for quoted and block text, which is always a string.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What kind of value it is, as the author would call it (YAML 1.2 core schema).
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Scalar { plain: false, .. } => "text",
            Value::Scalar { text, plain: true } => match text.as_str() {
                "" | "~" | "null" | "Null" | "NULL" => "nothing",
                "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => "a boolean",
                text if looks_like_number(text) => "a number",
                _ => "text",
            },
        }
    }
}

fn looks_like_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let radix = |prefix, radix| {
        digits.strip_prefix(prefix).is_some_and(|rest: &str| u128::from_str_radix(rest, radix).is_ok())
    };
    // `str::parse` also takes words such as "infinity", which are text in YAML.
    let decimal = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.parse::<f64>().is_ok();
    decimal || radix("0x", 16) || radix("0o", 8)
}
