//! The list of sanctioned servers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::reader::Reader;
use crate::decide::quote;
use crate::host::{HostPattern, Name};
use crate::model::{Server, UNSANCTIONED};
use crate::yaml::Node;

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<Server> {
    let mut lines_by_id: HashMap<&str, usize> = HashMap::new();
    let mut owners: HashMap<(Name, Option<u16>), String> = HashMap::new();
    let mut servers = Vec::new();
    for item in reader.list(node, "servers") {
        let what = "the server";
        let Some(fields) = reader.fields(item, what, &["id", "hosts"]) else { continue };
        let id_node = reader.required(&fields, "id", what);
        let id = id_node.and_then(|node| reader.id(node, "server id"));
        if let (Some(id), Some(node)) = (id, id_node) {
            if id == UNSANCTIONED {
                reader.error(
                    node.at,
                    format!("server id {UNSANCTIONED:?} is reserved for servers that are not listed"),
                );
            }
            match lines_by_id.get(id) {
                Some(line) => {
                    reader.error(node.at, format!("server id {} is already used on line {line}", quote(id)))
                }
                None => {
                    lines_by_id.insert(id, node.at.line);
                }
            }
        }
        let mut hosts = Vec::new();
        for node in reader
            .required(&fields, "hosts", what)
            .map(|n| reader.one_or_more(n, "hosts"))
            .unwrap_or_default()
        {
            let Some(host) = host(reader, node, false) else { continue };
            match owners.entry((host.name.clone(), host.port)) {
                Entry::Occupied(owner) => {
                    let message =
                        format!("host {} is already listed for server {}", quote(&host.source), owner.get());
                    reader.error(node.at, message);
                }
                Entry::Vacant(owner) => {
                    owner.insert(quote(id.unwrap_or_default()));
                    hosts.push(host);
                }
            }
        }
        // Kept even when something in it is wrong: rules may refer to it without a second complaint.
        if let Some(id) = id {
            servers.push(Server { id: id.to_owned(), hosts });
        }
    }
    servers
}

/// A host pattern; `globs` as in [`HostPattern::parse`].
pub(super) fn host(reader: &mut Reader<'_>, node: &Node, globs: bool) -> Option<HostPattern> {
    let text = reader.text(node, "a host")?;
    match HostPattern::parse(text, globs) {
        Ok(pattern) => Some(pattern),
        Err(bad) => {
            reader.report(node.at, format!("bad host {}: {}", quote(text), bad.message), bad.suggestion);
            None
        }
    }
}
