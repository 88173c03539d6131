//! The top level of the document.

use super::reader::{Fields, Reader};
use super::{rules, servers};
use crate::decide::quote;
use crate::model::{Action, Mode, Policy, Verdict};
use crate::yaml::{Node, Value};

const SCHEMA: &str = "gnomon.policy/v1";

pub(super) fn policy(reader: &mut Reader<'_>, root: &Node) -> Option<Policy> {
    let what = "the policy";
    let fields =
        reader.fields(root, what, &["schema", "revision", "description", "servers", "defaults", "rules"])?;
    if let Some(node) = reader.required(&fields, "schema", what) {
        schema(reader, node);
    }
    let revision = reader.required(&fields, "revision", what).and_then(|node| revision(reader, node));
    let description = description(reader, &fields);
    let servers = fields.get("servers").map(|node| servers::read(reader, node)).unwrap_or_default();
    let (unsanctioned, sanctioned) = match fields.get("defaults") {
        Some(node) => defaults(reader, node)?,
        None => (Verdict::WATCH, Verdict::ALLOW),
    };
    let rules = fields.get("rules").map(|node| rules::read(reader, node, &servers)).unwrap_or_default();
    Some(Policy { revision: revision?, description, servers, unsanctioned, sanctioned, rules })
}

fn schema(reader: &mut Reader<'_>, node: &Node) {
    if let Some(text) = reader.text(node, "schema").filter(|text| *text != SCHEMA) {
        let message = format!("unknown schema {}; expected {SCHEMA}", quote(text));
        reader.report(node.at, message, Some(SCHEMA.into()));
    }
}

fn revision(reader: &mut Reader<'_>, node: &Node) -> Option<u64> {
    if let Value::Scalar { text, plain: true } = &node.value
        && let Ok(revision @ 1..) = text.parse()
    {
        return Some(revision);
    }
    let found = match &node.value {
        Value::Scalar { text, plain: true } if !text.is_empty() => quote(text),
        _ => node.kind().to_owned(),
    };
    reader.error(node.at, format!("expected a whole number from 1 for revision, found {found}"));
    None
}

/// The optional free text that policies and rules may carry.
pub(super) fn description(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<String> {
    fields.get("description").and_then(|node| reader.text(node, "description")).map(str::to_owned)
}

fn defaults(reader: &mut Reader<'_>, node: &Node) -> Option<(Verdict, Verdict)> {
    let fields = reader.fields(node, "defaults", &["unsanctioned", "sanctioned"])?;
    let mut read = |key: &str, otherwise| match fields.get(key) {
        None => Some(otherwise),
        Some(node) => {
            let what = format!("defaults.{key}");
            let fields = reader.fields(node, &what, &["action", "mode"])?;
            verdict(reader, &fields, &what)
        }
    };
    // Both are read before either is given up, so that one run shows the problems of both.
    let (unsanctioned, sanctioned) =
        (read("unsanctioned", Verdict::WATCH), read("sanctioned", Verdict::ALLOW));
    Some((unsanctioned?, sanctioned?))
}

/// `action`, and `mode` with its default.
pub(super) fn verdict(reader: &mut Reader<'_>, fields: &Fields<'_>, what: &str) -> Option<Verdict> {
    let action = reader
        .required(fields, "action", what)
        .and_then(|node| reader.word(node, "action", &Action::ALL.map(|action| (action.as_str(), action))));
    let mode = match fields.get("mode") {
        None => Some(Mode::Enforce),
        Some(node) => reader.word(node, "mode", &Mode::ALL.map(|mode| (mode.as_str(), mode))),
    };
    Some(Verdict { action: action?, mode: mode? })
}
