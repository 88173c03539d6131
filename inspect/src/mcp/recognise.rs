//! The decision: is this JSON-RPC message MCP, and what does it say.

use super::{
    Connection, HttpContext, Origin,
    connection::Pending,
    fields::{Identity, Target, duplicate_members},
    lookalike,
    methods::{self, Known},
    results,
    signals::{self, Evidence},
};
use crate::{Kind, Message, json::Value, rpc::Rpc};

/// Confidence from which a message makes its surroundings MCP for the messages that follow.
const ESTABLISHES: f64 = 0.9;

/// Recognises one message; fills in everything but its findings, size and hash. Remembers what later messages need.
pub(crate) fn recognise(rpc: &Rpc<'_>, origin: &Origin<'_>, connection: &mut Connection) -> Option<Message> {
    let mut message = match rpc.kind {
        Kind::Response => response(rpc, origin, connection)?,
        Kind::Request | Kind::Notification => request(rpc, origin, connection)?,
    };
    message.kind = rpc.kind;
    message.id.clone_from(&rpc.id);
    message.duplicate_keys = rpc.duplicate_keys || rpc.params.is_some_and(duplicate_members);
    Some(message)
}

fn request(rpc: &Rpc<'_>, origin: &Origin<'_>, connection: &mut Connection) -> Option<Message> {
    let method = rpc.method.as_deref()?;
    let known = methods::known(method);
    let foreign = known == Known::Shared && lookalike::foreign(method, rpc.params);
    let identity = rpc.params.map(Identity::read).unwrap_or_default();
    let mut evidence = Evidence::default();
    evidence.add_if(identity.meta, signals::META);
    match known {
        Known::Exclusive => evidence.add(signals::METHOD),
        // A greeting speaks for itself, whoever greeted before.
        Known::Shared if !foreign && (!connection.foreign || method == "initialize") => {
            shared_method(method, rpc.params, &mut evidence)
        }
        Known::Shared | Known::Unknown => {}
    }
    surroundings(origin, connection, &mut evidence);
    if foreign && !evidence.certain() {
        connection.foreign |= origin.http.is_none() && !connection.established(origin);
        return None;
    }
    let mut message = base(origin, connection, &identity);
    message.confidence = evidence.confidence(known == Known::Unknown)?;
    message.signals = evidence.names();
    let target = Target::read(method, rpc.params);
    message.method = Some(super::clip(method.to_owned()));
    message.tool.clone_from(&target.tool);
    message.prompt.clone_from(&target.prompt);
    message.uri.clone_from(&target.uri);
    message.header_mismatch = origin.http.is_some_and(|http| mismatch(http, method, &target, rpc.params));
    learn(&message, &identity, origin, connection);
    if let (Kind::Request, Some(id)) = (rpc.kind, &rpc.id) {
        let method = message.method.clone().unwrap_or_default();
        connection.remember(Pending::new(origin, id.clone(), method, target, message.revision.clone()));
    }
    Some(message)
}

fn shared_method(method: &str, params: Option<Value<'_>>, evidence: &mut Evidence) {
    evidence.add(signals::METHOD_SHARED);
    let Some(params) = params else { return };
    match method {
        "initialize" => {
            let [version, capabilities, client] =
                params.get_all(["protocolVersion", "capabilities", "clientInfo"]);
            evidence.add_if(super::fields::revision(version).is_some(), signals::INITIALIZE);
            let info = version.is_some() && capabilities.is_some() && client.is_some();
            evidence.add_if(info, signals::INITIALIZE_INFO);
        }
        "elicitation/create" => {
            let [schema, message, url] = params.get_all(["requestedSchema", "message", "url"]);
            evidence.add_if(schema.or(url).is_some() && message.is_some(), signals::ELICITATION);
        }
        _ => evidence.add_if(params.get("taskId").is_some(), signals::TASK_ID),
    }
}

fn response(rpc: &Rpc<'_>, origin: &Origin<'_>, connection: &mut Connection) -> Option<Message> {
    let pending = rpc.id.as_ref().and_then(|id| connection.answer(origin, id));
    let identity = rpc.result.map(Identity::read).unwrap_or_default();
    let mut evidence = Evidence::default();
    evidence.add_if(pending.is_some(), signals::PAIRED);
    evidence.add_if(identity.meta, signals::META);
    let inferred = rpc.result.and_then(|result| results::shape(result, &mut evidence));
    if let Some(error) = rpc.error {
        results::error(error, &mut evidence);
    }
    evidence.add_if(origin.exchange_mcp, signals::EXCHANGE);
    surroundings(origin, connection, &mut evidence);

    let mut message = base(origin, connection, &identity);
    message.confidence = evidence.confidence(false)?;
    message.signals = evidence.names();
    message.error = rpc.error.is_some()
        || rpc.result.and_then(|r| r.get("isError")).is_some_and(|v| v.0.trim_ascii() == b"true");
    match pending {
        Some(pending) => {
            message.method = Some(pending.method);
            message.tool = pending.target.tool;
            message.prompt = pending.target.prompt;
            message.uri = pending.target.uri;
            if identity.revision.is_none() {
                message.revision = pending.revision.or(message.revision);
            }
            if let Some(http) = pending.http {
                message.host = message.host.or_else(|| http.host.clone());
                message.path = message.path.or_else(|| http.path.clone());
            }
        }
        None => message.method = inferred.map(str::to_owned),
    }
    learn(&message, &identity, origin, connection);
    Some(message)
}

/// Signals that do not come from the message itself.
fn surroundings(origin: &Origin<'_>, connection: &Connection, evidence: &mut Evidence) {
    if let Some(http) = origin.http {
        http.add_signals(evidence);
    }
    if let Some(response) = origin.response {
        evidence.add_if(response.session.is_some(), signals::HEADER_SESSION);
        evidence.add_if(response.version.is_some(), signals::HEADER_VERSION);
    }
    evidence.add_if(connection.established(origin), signals::CONNECTION);
    evidence.add_if(origin.legacy_stream, signals::SSE_ENDPOINT);
}

/// What message and surroundings say, whatever the kind.
fn base(origin: &Origin<'_>, connection: &Connection, identity: &Identity) -> Message {
    let http = origin.http;
    let response = origin.response;
    Message {
        transport: origin.transport,
        direction: origin.direction,
        revision: identity
            .revision
            .clone()
            .or_else(|| http.and_then(|http| http.revision()).map(str::to_owned))
            .or_else(|| response.and_then(|r| r.version.clone()).filter(|v| super::is_revision(v)))
            .or_else(|| connection.revision.clone()),
        session: http
            .and_then(|http| http.session.clone())
            .or_else(|| response.and_then(|r| r.session.clone()))
            .or_else(|| connection.session.clone()),
        client_name: identity.client_name.clone().or_else(|| connection.client_name.clone()),
        server_name: identity.server_name.clone().or_else(|| connection.server_name.clone()),
        host: http.and_then(|http| http.host.clone()),
        path: http.and_then(|http| http.path.clone()),
        http_method: http.and_then(|http| http.http_method.clone()),
        status: response.map(|r| r.status),
        ..Message::default()
    }
}

/// Remembers what later messages of the connection inherit.
fn learn(message: &Message, identity: &Identity, origin: &Origin<'_>, connection: &mut Connection) {
    connection.mcp = true;
    connection.foreign = false;
    if message.confidence >= ESTABLISHES {
        connection.establish(origin.http.map(|http| &**http));
    }
    // Not what was only inherited: a later message would inherit it anyway.
    if identity.revision.is_some() || origin.http.is_some_and(|http| http.revision().is_some()) {
        connection.revision.clone_from(&message.revision);
    }
    if identity.client_name.is_some() {
        connection.client_name.clone_from(&identity.client_name);
    }
    if identity.server_name.is_some() {
        connection.server_name.clone_from(&identity.server_name);
    }
}

/// Whether the headers of 2026-07-28 say something else than the body.
fn mismatch(http: &HttpContext, method: &str, target: &Target, params: Option<Value<'_>>) -> bool {
    let differs =
        |header: &Option<String>, body: &str| header.as_deref().is_some_and(|header| header != body);
    let declared = params
        .and_then(|params| params.get("_meta"))
        .and_then(|meta| meta.get("io.modelcontextprotocol/protocolVersion"))
        .and_then(Value::string);
    differs(&http.mcp_method, method)
        || target.name.as_deref().is_some_and(|name| differs(&http.mcp_name, name))
        || declared.is_some_and(|declared| differs(&http.version, &declared))
}

/// A request known from its headers alone, because its body cannot be read. `None` when they do not prove MCP.
pub(crate) fn recognise_headers(origin: &Origin<'_>, connection: &mut Connection) -> Option<Message> {
    let http = origin.http.filter(|http| http.certain() && http.http_method.as_deref() == Some("POST"))?;
    let mut evidence = Evidence::default();
    surroundings(origin, connection, &mut evidence);
    let identity = Identity::default();
    let mut message = base(origin, connection, &identity);
    message.confidence = evidence.confidence(false)?;
    message.signals = evidence.names();
    if let Some(method) = &http.mcp_method {
        let target = Target::named(method, http.mcp_name.clone());
        message.kind = if method.starts_with("notifications/") { Kind::Notification } else { Kind::Request };
        message.method = Some(method.clone());
        message.tool = target.tool;
        message.prompt = target.prompt;
        message.uri = target.uri;
    }
    message.truncated = true;
    learn(&message, &identity, origin, connection);
    Some(message)
}
