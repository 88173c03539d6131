//! Protocols that use MCP's method names and are not MCP.

use crate::json::Value;

/// Whether a request of a shared method name shows the marks of another protocol.
pub(crate) fn foreign(method: &str, params: Option<Value<'_>>) -> bool {
    let Some(params) = params else { return false };
    match method {
        "initialize" => {
            let [version, process, root, folders, adapter] =
                params.get_all(["protocolVersion", "processId", "rootUri", "workspaceFolders", "adapterID"]);
            // ACP counts its versions; LSP, BSP and DAP name the editor's process, folders or adapter.
            version.is_some_and(Value::is_number)
                || (version.is_none() && (process.or(root).or(folders).or(adapter)).is_some())
        }
        // A2A names the task `id`.
        _ if method.starts_with("tasks/") => {
            let [id, task] = params.get_all(["id", "taskId"]);
            id.is_some() && task.is_none()
        }
        // ACP says which of its sessions asks.
        "elicitation/create" => params.get("sessionId").is_some(),
        _ => false,
    }
}
