//! Results recognised by their shape, for responses whose request was not seen.

use super::{
    fields,
    signals::{self, Evidence},
};
use crate::json::Value;

/// Adds the signals of a result's shape; returns the one method whose result has it.
pub(crate) fn shape(result: Value<'_>, evidence: &mut Evidence) -> Option<&'static str> {
    let [version, capabilities, server, supported, result_type, inputs] = result.get_all([
        "protocolVersion",
        "capabilities",
        "serverInfo",
        "supportedVersions",
        "resultType",
        "inputRequests",
    ]);
    let result_type = result_type.and_then(Value::string);
    let asks = result_type.as_deref() == Some("input_required") && inputs.is_some_and(Value::is_object);
    evidence.add_if(asks, signals::RESULT_INPUT);
    evidence.add_if(
        matches!(result_type.as_deref(), Some("complete" | "input_required" | "task")),
        signals::RESULT_TYPE,
    );
    if fields::revision(version).is_some() && capabilities.is_some() && server.is_some() {
        evidence.add(signals::RESULT_INITIALIZE);
        return Some("initialize");
    }
    if first(supported).is_some_and(|v| fields::revision(Some(v)).is_some()) {
        evidence.add(signals::RESULT_DISCOVER);
        return Some("server/discover");
    }
    lists(result, evidence).or_else(|| answers(result, evidence, result_type.is_some()))
}

/// Results of the `*/list` methods. An empty list says nothing.
fn lists(result: Value<'_>, evidence: &mut Evidence) -> Option<&'static str> {
    let [tools, resources, templates, prompts, roots] =
        result.get_all(["tools", "resources", "resourceTemplates", "prompts", "roots"]).map(first);
    let has = |item: Option<Value<'_>>, names: [&str; 2]| {
        item.is_some_and(|item| item.get_all(names).iter().all(Option::is_some))
    };
    if has(tools, ["name", "inputSchema"]) {
        evidence.add(signals::RESULT_TOOLS);
        return Some("tools/list");
    }
    let method = if has(templates, ["uriTemplate", "name"]) {
        "resources/templates/list"
    } else if has(resources, ["uri", "name"]) {
        "resources/list"
    } else if has(prompts, ["name", "description"]) || has(prompts, ["name", "arguments"]) {
        "prompts/list"
    } else if roots
        .and_then(|root| root.get("uri"))
        .and_then(Value::string)
        .is_some_and(|u| u.starts_with("file://"))
    {
        "roots/list"
    } else {
        return None;
    };
    evidence.add(signals::RESULT_LIST);
    Some(method)
}

/// Results of the methods that act.
fn answers(result: Value<'_>, evidence: &mut Evidence, typed: bool) -> Option<&'static str> {
    let [content, contents, messages, completion, is_error, structured, task] = result.get_all([
        "content",
        "contents",
        "messages",
        "completion",
        "isError",
        "structuredContent",
        "task",
    ]);
    if content.is_some_and(Value::is_array) {
        let block = first(content);
        let known = block.is_some_and(is_block);
        let marked = is_error.or(structured).is_some() || typed;
        if known && marked {
            evidence.add(signals::RESULT_CALL);
            return Some("tools/call");
        } else if known {
            evidence.add(signals::RESULT_CONTENT);
            return Some("tools/call");
        } else if block.is_none() && marked {
            evidence.add(signals::RESULT_SHAPE);
            return Some("tools/call");
        }
    }
    let (method, fits) = if let Some(item) = first(contents) {
        let [uri, text, blob] = item.get_all(["uri", "text", "blob"]);
        ("resources/read", uri.is_some() && text.or(blob).is_some())
    } else if let Some(item) = first(messages) {
        ("prompts/get", item.get("role").is_some() && item.get("content").is_some_and(is_block))
    } else if let Some(completion) = completion {
        ("completion/complete", completion.get("values").is_some_and(Value::is_array))
    } else if content.is_some_and(is_block) && result.get("role").is_some() {
        ("sampling/createMessage", result.get("model").is_some())
    } else if let Some(task) = task {
        let [id, status] = task.get_all(["taskId", "status"]);
        ("", id.is_some() && status.is_some())
    } else {
        return None;
    };
    evidence.add_if(fits, signals::RESULT_SHAPE);
    (fits && !method.is_empty()).then_some(method)
}

/// A content block, as an object with one of MCP's types.
fn is_block(value: Value<'_>) -> bool {
    let kind = value.get("type").and_then(Value::string);
    matches!(
        kind.as_deref(),
        Some("text" | "image" | "audio" | "resource" | "resource_link" | "tool_use" | "tool_result")
    )
}

/// Adds the signals of an error that MCP servers send.
pub(crate) fn error(error: Value<'_>, evidence: &mut Evidence) {
    let [code, message, data] = error.get_all(["code", "message", "data"]);
    let code = code.map(|code| code.0.trim_ascii());
    let message = message.and_then(Value::string).unwrap_or_default();
    let mismatch = code == Some(b"-32020") && message.contains("HeaderMismatch");
    let revisions = code == Some(b"-32022") && data.and_then(|d| d.get("supported")).is_some_and(revisions);
    evidence.add_if(revisions, signals::ERROR_REVISIONS);
    evidence.add_if(mismatch, signals::ERROR_HEADER);
    let known = matches!(code, Some(b"-32020" | b"-32021" | b"-32022" | b"-32042"));
    evidence.add_if(known || message.contains("Server not initialized"), signals::ERROR_CODE);
}

/// Whether a value is a list of dated revisions; an empty one says nothing.
fn revisions(list: Value<'_>) -> bool {
    let mut items = list.elements().map_while(Result::ok).peekable();
    items.peek().is_some() && items.all(|item| fields::revision(Some(item)).is_some())
}

fn first(array: Option<Value<'_>>) -> Option<Value<'_>> {
    array?.elements().next()?.ok()
}
