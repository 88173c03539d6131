//! The rules.

use std::collections::HashMap;

use super::read::{description, verdict};
use super::reader::Reader;
use super::servers::host;
use super::suggest::nearest;
use crate::decide::quote;
use crate::glob::Glob;
use crate::methods::METHODS;
use crate::model::{Match, ProcessPattern, Rule, Server, UNSANCTIONED};
use crate::yaml::Node;

/// Identifiers that decisions use for the defaults.
const RESERVED_PREFIX: &str = "default.";

pub(super) fn read(reader: &mut Reader<'_>, node: &Node, servers: &[Server]) -> Vec<Rule> {
    let mut lines_by_id: HashMap<&str, usize> = HashMap::new();
    let mut rules = Vec::new();
    for item in reader.list(node, "rules") {
        let what = "the rule";
        let Some(fields) = reader.fields(item, what, &["id", "description", "match", "action", "mode"])
        else {
            continue;
        };
        let id_node = reader.required(&fields, "id", what);
        let id = id_node.and_then(|node| reader.id(node, "rule id"));
        if let (Some(id), Some(node)) = (id, id_node) {
            if id.starts_with(RESERVED_PREFIX) {
                reader.error(node.at, format!("rule ids that start with {RESERVED_PREFIX:?} are reserved"));
            }
            match lines_by_id.get(id) {
                Some(line) => {
                    reader.error(node.at, format!("rule id {} is already used on line {line}", quote(id)))
                }
                None => {
                    lines_by_id.insert(id, node.at.line);
                }
            }
        }
        let description = description(reader, &fields);
        let matches = fields.get("match").map(|node| conditions(reader, node, servers)).unwrap_or_default();
        let verdict = verdict(reader, &fields, what);
        if let (Some(id), Some(verdict)) = (id, verdict) {
            rules.push(Rule { id: id.to_owned(), description, matches, verdict });
        }
    }
    rules
}

fn conditions(reader: &mut Reader<'_>, node: &Node, servers: &[Server]) -> Match {
    const KEYS: [&str; 7] = ["server", "host", "method", "tool", "user", "process", "data_class"];
    let Some(fields) = reader.fields(node, "match", &KEYS) else { return Match::default() };
    let mut nodes = |key: &str| fields.get(key).map(|n| reader.one_or_more(n, key)).unwrap_or_default();
    let [server_nodes, host_nodes, method_nodes, tool_nodes, user_nodes, process_nodes, class_nodes] =
        KEYS.map(&mut nodes);
    let server_ids: Vec<&str> = servers.iter().map(|s| s.id.as_str()).chain([UNSANCTIONED]).collect();
    let method_names: Vec<&str> = METHODS.iter().map(|m| m.name).collect();
    let known_classes = reader.data_classes;
    Match {
        server: each(server_nodes, |node| named(reader, node, "server", &server_ids, true)),
        host: each(host_nodes, |node| host(reader, node, true)),
        // A method of an extension is not in the list; with a star it needs not be.
        method: each(method_nodes, |node| named(reader, node, "method", &method_names, false)),
        tool: each(tool_nodes, |node| {
            let text = reader.text(node, "tool")?;
            glob(reader, node, "tool", text)
        }),
        user: each(user_nodes, |node| {
            let text = reader.text_or_number(node, "user")?;
            glob(reader, node, "user", text)
        }),
        process: each(process_nodes, |node| process(reader, node)),
        data_class: each(class_nodes, |node| data_class(reader, node, known_classes)),
    }
}

fn each<T>(nodes: &[Node], read: impl FnMut(&Node) -> Option<T>) -> Vec<T> {
    nodes.iter().filter_map(read).collect()
}

fn glob(reader: &mut Reader<'_>, node: &Node, what: &str, text: &str) -> Option<Glob> {
    Glob::new(text)
        .map_err(|message| reader.error(node.at, format!("bad {what} {}: {message}", quote(text))))
        .ok()
}

/// A name from a list; with `strict`, a pattern must match one of them too.
fn named(reader: &mut Reader<'_>, node: &Node, what: &str, known: &[&str], strict: bool) -> Option<Glob> {
    let text = reader.text(node, what)?;
    let glob = glob(reader, node, what, text)?;
    if (glob.is_literal() || strict) && !known.iter().any(|name| glob.matches(name)) {
        let hint = match what {
            "server" => "expected the id of a listed server or \"unsanctioned\"",
            "method" => "it is not a method of MCP; for one of an extension use a pattern, such as \"x/*\"",
            _ => "no detector reports it",
        };
        reader.report(
            node.at,
            format!("unknown {what} {}: {hint}", quote(text)),
            nearest(text, known.iter().copied()),
        );
        return None;
    }
    Some(glob)
}

fn process(reader: &mut Reader<'_>, node: &Node) -> Option<ProcessPattern> {
    let text = reader.text(node, "process")?;
    let glob = glob(reader, node, "process", text)?;
    let file_name_only = !text.contains('/');
    if !file_name_only && !text.starts_with(['/', '*']) {
        let message = format!("bad process {}: expected a full path or a bare file name", quote(text));
        reader.report(node.at, message, Some(format!("*/{text}")));
        return None;
    }
    Some(ProcessPattern { glob, file_name_only })
}

fn data_class(reader: &mut Reader<'_>, node: &Node, known: &[&str]) -> Option<Glob> {
    let text = reader.text(node, "data_class")?;
    if !known.is_empty() {
        return named(reader, node, "data_class", known, true);
    }
    let chars_ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-*".contains(&b);
    if !text.is_empty() && !text.bytes().all(chars_ok) {
        let message = format!(
            "bad data_class {}: expected lower-case letters, digits, \".\", \"_\" or \"-\"",
            quote(text)
        );
        reader.report(node.at, message, Some(text.to_lowercase()).filter(|t| t.bytes().all(chars_ok)));
        return None;
    }
    glob(reader, node, "data_class", text)
}
