// Events carry text that attackers choose. It enters the page as text nodes only (el() below): no markup is ever parsed.

const ROWS = 500;          // in the table; older ones are a filter or a click away
const PAGE = 100;
const REFRESH_MS = 5000;
const RETRY_MS = 3000;

const $ = (id) => document.getElementById(id);
const body = document.querySelector("#events tbody");
let stream = null;
let retry = null;
let generation = 0;        // answers to an older filter are dropped

/** An element with attributes and children; a child that is no node becomes text. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null && child !== ""));
  return element;
}

async function get(path, as = "json") {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (response.status === 401) {
    notice("Your session has ended. Open a new admin link: gnomon-collector link");
    throw new Error("no session");
  }
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({}));
    throw new Error(error ?? `${response.status} ${response.statusText}`);
  }
  return as === "text" ? response.text() : response.json();
}

function notice(text) {
  $("notice").textContent = text ?? "";
  $("notice").hidden = !text;
}

function localTime(rfc3339) {
  const time = new Date(rfc3339);
  const today = time.toDateString() === new Date().toDateString();
  const clock = time.toLocaleTimeString("en-GB") + "." + String(time.getMilliseconds()).padStart(3, "0");
  return today ? clock : `${time.toLocaleDateString("en-CA")} ${clock}`;
}

function ago(rfc3339) {
  if (!rfc3339) return "never";
  const seconds = Math.max(0, Math.round((Date.now() - new Date(rfc3339)) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} days ago`;
}

function bytes(count) {
  if (count < 1024) return `${count} B`;
  if (count < 1024 ** 2) return `${(count / 1024).toFixed(1)} KiB`;
  return `${(count / 1024 ** 2).toFixed(1)} MiB`;
}

const basename = (path) => (path ?? "").split("/").pop();

/** Two lines in a cell: what matters, and what explains it. */
function two(main, explained) {
  return [main ? el("span", {}, main) : "", explained ? el("span", { class: "dim" }, explained) : ""];
}

function cell(label, ...children) {
  return el("td", { "data-label": label }, ...children);
}

// ---- events

function verdict({ decision, enforcement }) {
  if (!decision?.verdict) return [];
  const real = decision.verdict !== "deny" || decision.mode === "enforce";
  const text = { deny: real ? "denied" : "would deny", allow: "allowed", alert: "alert" }[decision.verdict] ?? decision.verdict;
  const outcome = enforcement?.outcome
    && `${enforcement.outcome.replace("_", " ")}, ${bytes(enforcement.body_bytes_left ?? 0)} left the host`;
  return [
    el("span", { class: "badge", "data-tone": real ? decision.verdict : "alert", title: decision.reason }, text),
    outcome ? el("span", { class: "dim" }, outcome) : "",
  ];
}

function what(event) {
  const { message, loss, kind, note } = event;
  if (message?.tool) return [el("span", { class: "tool" }, message.tool), el("span", { class: "dim" }, message.method)];
  if (message?.method) return two(message.method, message.uri);
  if (message?.kind) return two(message.kind, message.server_name);
  if (loss) return two(`loss: ${loss.what ?? ""}`, `${loss.count} lost, ${bytes(loss.bytes ?? 0)}`);
  return two(kind, note);
}

function found(findings = []) {
  const classes = [...new Set(findings.map((finding) => finding.class || finding.detector))];
  return classes.length ? [el("span", { class: "badge", "data-tone": "alert" }, classes.join(", "))] : [];
}

function row({ id, host, hostname, time, event }) {
  const { process, server, decision } = event;
  const button = el("button", { class: "expand", type: "button", "aria-expanded": "false" }, localTime(time));
  const element = el("tr", {
    "data-event-id": id, "data-kind": event.kind, "data-verdict": decision?.verdict, "data-tool": event.message?.tool,
    "data-server": server?.host,
  },
  cell("Time", button),
  cell("Host", el("span", { class: "short", title: `${hostname} ${host}` }, hostname || host)),
  cell("User, process", ...two(process?.user || (process && `uid ${process.uid}`), process && `${basename(process.exe) || process.comm || "?"} (${process.pid})`)),
  cell("Server", ...two(server?.host || server?.address, server?.sanctioned_as ? `sanctioned: ${server.sanctioned_as}` : server?.host && server.address)),
  cell("Method, tool", ...what(event)),
  cell("Verdict", ...verdict(event)),
  cell("Found", ...found(event.findings)),
  cell("Rule", ...two(decision?.rule)));
  element.addEventListener("click", () => {
    // A click that ends a selection of text is not meant for the row.
    if (String(getSelection()) === "") toggle(element, id, button);
  });
  return element;
}

async function toggle(element, id, button) {
  if (element.nextElementSibling?.classList.contains("detail")) {
    element.nextElementSibling.remove();
    button.setAttribute("aria-expanded", "false");
    return;
  }
  const text = el("pre", {}, "…");
  element.after(el("tr", { class: "detail", "data-detail-of": id }, el("td", { colspan: 8 }, text)));
  button.setAttribute("aria-expanded", "true");
  try {
    text.textContent = indent(await get(`/api/v1/events/${id}`, "text"));
  } catch (error) {
    text.textContent = error.message;
  }
}

/** Lays JSON text out without parsing it: JSON.parse would round 64-bit numbers. */
function indent(json) {
  let depth = 0;
  return json.replace(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g, (token, at) => {
    const line = () => "\n" + "  ".repeat(depth);
    switch (token) {
      case "{": case "[":
        if ("}]".includes(json[at + 1])) return token;
        depth += 1;
        return token + line();
      case "}": case "]":
        if ("{[".includes(json[at - 1])) return token;
        depth -= 1;
        return line() + token;
      case ",": return token + line();
      case ":": return ": ";
      default: return token;
    }
  });
}

function filters() {
  const parameters = new URLSearchParams();
  for (const name of ["q", "verdict"]) {
    if ($(name).value.trim()) parameters.set(name, $(name).value.trim());
  }
  return parameters;
}

function add(view, fresh) {
  if (body.querySelector(`tr[data-event-id="${Number(view.id)}"]`)) return;
  const element = row(view);
  if (!fresh) {
    body.append(element);
    return;
  }
  element.classList.add("new");
  body.prepend(element);
  while (body.rows.length > ROWS) body.lastElementChild.remove();
  $("events-empty").hidden = true;
}

async function load() {
  const mine = ++generation;
  stream?.close();
  const parameters = filters();
  try {
    const { latest_event: latest } = await get("/api/v1/summary");
    const { events } = await get(`/api/v1/events?limit=${PAGE}&${parameters}`);
    if (mine !== generation) return;
    body.replaceChildren();
    events.forEach((view) => add(view, false));
    $("older").hidden = events.length < PAGE;
    $("events-empty").hidden = events.length > 0;
    emptyEvents(parameters.size > 0);
    notice();
    follow(Math.max(latest, events[0]?.id ?? 0), parameters, mine);
  } catch (error) {
    if (mine !== generation) return;
    if (error.message !== "no session") notice(error.message);
    lost();
  }
}

function emptyEvents(filtered) {
  $("events-empty").replaceChildren(...(filtered
    ? [el("p", {}, "No event matches this filter. New ones that match appear here by themselves.")]
    : [el("p", {}, "No event yet. Events appear here as soon as a host sends them."),
      el("p", {}, el("a", { href: "#/hosts" }, "Enrol a host"), " if there is none.")]));
}

function follow(after, parameters, mine) {
  parameters.set("after", after);
  stream = new EventSource(`/api/v1/stream?${parameters}`);
  stream.addEventListener("open", () => live("live", "live"));
  stream.addEventListener("event", ({ data }) => { if (mine === generation) add(JSON.parse(data), true); });
  stream.addEventListener("error", () => {
    // The browser comes again by itself, with Last-Event-ID, unless it was refused.
    live("lost", "reconnecting");
    if (stream.readyState === EventSource.CLOSED) lost();
  });
}

function lost() {
  live("lost", "not connected");
  clearTimeout(retry);
  retry = setTimeout(load, RETRY_MS);
}

function live(state, text) {
  $("live").dataset.state = state;
  $("live").textContent = text;
}

async function older() {
  const last = [...body.querySelectorAll("tr[data-event-id]")].pop();
  const parameters = filters();
  parameters.set("before", last?.dataset.eventId ?? 0);
  const { events } = await get(`/api/v1/events?limit=${PAGE}&${parameters}`);
  events.forEach((view) => add(view, false));
  $("older").hidden = events.length < PAGE;
}

// ---- hosts

const LEVELS = { "prevent-by-drop": "allow", cut: "alert", observe: "alert" };

function hostState(host) {
  if (host.revoked) return ["revoked", "deny"];
  if (host.connected) return ["online", "allow"];
  return host.last_seen ? ["offline", "deny"] : ["enrolled, not seen yet", "alert"];
}

function hostCard(host) {
  const { health } = host;
  const [state, tone] = hostState(host);
  const facts = el("dl");
  const fact = (name, value, bad = false) => {
    if (value !== undefined && value !== null && value !== "") facts.append(el("dt", {}, name), el("dd", bad ? { class: "bad" } : {}, value));
  };
  fact("Last seen", host.last_seen ? ago(host.last_seen) : "never");
  if (health) {
    fact("Prevention", el("span", { class: "badge", "data-tone": LEVELS[health.level] }, health.level || "not reported"));
    fact("Policy", health.policy_revision ? `revision ${health.policy_revision}` : "none");
    fact("Messages", `${health.messages} seen, ${health.denied} denied since the agent's start`);
    fact("Spool", `${health.spool_events} events, ${bytes(health.spool_bytes)} waiting`);
    const losses = (health.losses ?? []).filter((loss) => loss.count > 0);
    fact("Losses", losses.map((loss) => `${loss.what}: ${loss.count}`).join(", ") || "none", losses.length > 0);
  }
  if (host.missing_events > 0) fact("Never arrived", `${host.missing_events} events`, true);
  if (host.rejected_batches > 0) fact("Refused", `${host.rejected_batches} batches: ${host.rejected_reason ?? ""}`, true);
  if (health?.lacks?.length) fact("Lacks", el("ul", {}, ...health.lacks.map((lack) => el("li", {}, lack))));
  if (health) fact("Agent", `${health.agent_version ?? "?"} on ${health.kernel ?? "?"}`);
  fact("Certificate", `until ${host.certificate_expires.slice(0, 10)}`, new Date(host.certificate_expires) < new Date());
  return el("article", { class: "card", "data-host-id": host.id, "data-state": state },
    el("header", {}, el("h2", {}, host.hostname || host.id), el("span", { class: "badge", "data-tone": tone }, state),
      el("small", {}, host.id)),
    facts);
}

// ---- servers

function serverRow(server) {
  const number = (label, value) => el("td", { "data-label": label, class: "number" }, String(value));
  return el("tr", { "data-server": server.host, "data-sanctioned": server.sanctioned },
    cell("Server", el("strong", {}, server.host || "–")),
    cell("Address", el("span", {}, `${server.address}${server.tls ? " (TLS)" : ""}`)),
    cell("State", server.sanctioned
      ? el("span", { class: "badge", "data-tone": "allow" }, `sanctioned: ${server.sanctioned_as}`)
      : el("span", { class: "badge", "data-tone": "deny" }, "not sanctioned")),
    number("Messages", server.messages), number("Denied", server.denied), number("Hosts", server.hosts),
    number("Processes", server.processes),
    cell("First seen", el("span", { title: server.first_seen }, ago(server.first_seen))),
    cell("Last seen", el("span", { title: server.last_seen }, ago(server.last_seen))));
}

// ---- page

async function refresh() {
  try {
    const [summary, { hosts }, { servers }] = await Promise.all(
      ["summary", "hosts", "servers"].map((name) => get(`/api/v1/${name}`)));
    for (const element of document.querySelectorAll("[data-summary]")) {
      const value = summary[element.dataset.summary];
      element.textContent = Number(value).toLocaleString("en");
      element.toggleAttribute("data-zero", value === 0);
    }
    $("hosts").replaceChildren(...hosts.map(hostCard));
    document.querySelector("#servers tbody").replaceChildren(...servers.map(serverRow));
    $("servers").hidden = servers.length === 0;
    $("servers-empty").hidden = servers.length > 0;
    $("enrol-token").textContent = `gnomon-collector token create --data ${summary.data_dir}`;
    $("enrol-config").textContent = `[collector]\naddress = "${summary.grpc_address}"\ntoken = "gn1…"`;
  } catch {
    // The stream's state shows that the collector is gone; the next round tries again.
  }
}

function show() {
  const name = location.hash.replace("#/", "");
  const view = ["events", "hosts", "servers"].includes(name) ? name : "events";
  for (const section of document.querySelectorAll("[data-section]")) section.hidden = section.dataset.section !== view;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

let typing = null;
$("filter").addEventListener("submit", (submit) => submit.preventDefault());
$("filter").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(load, 250); });
$("older").addEventListener("click", () => older().catch((error) => notice(error.message)));
addEventListener("hashchange", show);
show();
load();
refresh();
setInterval(refresh, REFRESH_MS);
