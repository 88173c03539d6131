//! What a message acts on and who sent it, read from `params`, `result` and `_meta`.

use super::{clip, is_revision, methods};
use crate::json::Value;

/// Prefix of the keys MCP reserves in `_meta`.
const META_PREFIX: &str = "io.modelcontextprotocol/";

/// Fields of `_meta` and the handshake.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    pub(crate) revision: Option<String>,
    pub(crate) client_name: Option<String>,
    pub(crate) server_name: Option<String>,
    /// A reserved key was there.
    pub(crate) meta: bool,
}

impl Identity {
    /// From `params` or `result`.
    pub(crate) fn read(body: Value<'_>) -> Self {
        let [version, client, server, meta] =
            body.get_all(["protocolVersion", "clientInfo", "serverInfo", "_meta"]);
        let mut identity = Self {
            revision: revision(version),
            client_name: name(client),
            server_name: name(server),
            meta: false,
        };
        for (key, value) in meta.into_iter().flat_map(Value::members).map_while(Result::ok) {
            let key = key.to_str();
            let Some(key) = key.strip_prefix(META_PREFIX) else { continue };
            identity.meta = true;
            match key {
                "protocolVersion" => identity.revision = revision(Some(value)).or(identity.revision),
                "clientInfo" => identity.client_name = name(Some(value)).or(identity.client_name),
                "serverInfo" => identity.server_name = name(Some(value)).or(identity.server_name),
                _ => {}
            }
        }
        identity
    }
}

pub(crate) fn revision(value: Option<Value<'_>>) -> Option<String> {
    value.and_then(Value::string).filter(|text| is_revision(text))
}

fn name(info: Option<Value<'_>>) -> Option<String> {
    info.and_then(|info| info.get("name")).and_then(Value::string).map(clip)
}

/// What a request acts on.
#[derive(Debug, Default, Clone)]
pub(crate) struct Target {
    pub(crate) tool: Option<String>,
    pub(crate) prompt: Option<String>,
    pub(crate) uri: Option<String>,
    /// The value that `Mcp-Name` has to repeat.
    pub(crate) name: Option<String>,
}

impl Target {
    pub(crate) fn read(method: &str, params: Option<Value<'_>>) -> Self {
        let name =
            methods::target(method).and_then(|member| params?.get(member)).and_then(Value::string).map(clip);
        Self::named(method, name)
    }

    pub(crate) fn named(method: &str, name: Option<String>) -> Self {
        let mut target = Self { name, ..Self::default() };
        match method {
            "tools/call" => target.tool.clone_from(&target.name),
            "prompts/get" => target.prompt.clone_from(&target.name),
            _ if methods::target(method) == Some("uri") => target.uri.clone_from(&target.name),
            _ => {}
        }
        target
    }
}

/// Whether a member that decides is given twice in `params`.
pub(crate) fn duplicate_members(params: Value<'_>) -> bool {
    const DECIDING: [&str; 4] = ["name", "uri", "arguments", "_meta"];
    let mut seen = [false; DECIDING.len()];
    params.members().map_while(Result::ok).any(|(key, _)| {
        DECIDING.iter().position(|name| key.is(name)).is_some_and(|at| std::mem::replace(&mut seen[at], true))
    })
}
