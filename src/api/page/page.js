// The status page: lists from the API, the talk from the event stream. Everything that was said or named by callers goes in as
// text, never as markup.
"use strict";

const TURNS_MAX = 200;
const STAGES = ["requested", "approved", "specified", "planned", "generated", "tested", "staged", "live", "tracked"];
const byId = (id) => document.getElementById(id);

function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

function clock(time) {
  return new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

// Where the API wants a token, it is asked for once and kept for as long as this tab is open.
const TOKEN = "callwright-token";
let asking = false;

async function get(path, more) {
  const token = sessionStorage.getItem(TOKEN);
  const answer = await fetch(path, { headers: { ...more, ...(token && { authorization: `Bearer ${token}` }) } });
  if (answer.status === 401 && !asking) {
    asking = true;
    const given = prompt("The token of the control API:");
    asking = false;
    if (given) {
      sessionStorage.setItem(TOKEN, given.trim());
      return get(path, more);
    }
  }
  return answer;
}

async function ask(path) {
  const answer = await get(path, { accept: "application/json" });
  if (!answer.ok && answer.status !== 503) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function fill(id, items) {
  byId(id).replaceChildren(...items);
  byId(`${id}-empty`).hidden = items.length > 0;
}

function showApps({ items }) {
  fill("apps", items.map(({ app, traffic }) => {
    const link = element("a", "", app.title);
    link.href = app.url;
    const rate = traffic ? `${traffic.requests_per_minute} ${traffic.requests_per_minute === 1 ? "request" : "requests"} in the last minute` : "not on line";
    return element("li", "", element("b", "", link), element("span", "state good", app.state), element("p", "", `${app.url} · ${rate}`));
  }));
}

function showBuilds({ items }) {
  fill("builds", items.slice(0, 8).map((build) => {
    const at = STAGES.indexOf(build.stage);
    const mood = build.failure ? "bad" : at >= STAGES.indexOf("live") ? "good" : "";
    const line = element("li", "", element("b", "", `${build.number}. ${build.title}`), element("span", `state ${mood}`, build.stage));
    if (build.failure) line.append(element("p", "", build.failure));
    if (at >= 0 && at < STAGES.length - 1) {
      const bar = element("progress");
      bar.max = STAGES.length - 1;
      bar.value = at;
      bar.setAttribute("aria-label", `Build ${build.number}`);
      line.append(bar);
    }
    return line;
  }));
}

function showCalls({ live, items }) {
  const up = live.map((call) => element("li", "", element("b", "", call.caller), element("span", "state good", call.state),
    element("p", "", `to ${call.callee} · ${call.app}`)));
  const ids = new Set(live.map((call) => call.id));
  const over = items.filter((call) => !ids.has(call.id)).slice(0, 8 - Math.min(up.length, 8)).map((call) => {
    const seconds = call.answered && call.ended ? Math.round((new Date(call.ended) - new Date(call.answered)) / 1000) : null;
    const how = seconds === null ? (call.ended ? "not answered" : "up") : `${seconds} s`;
    return element("li", "", element("b", "", call.caller), element("span", "state", how),
      element("p", "", `${clock(call.started)} to ${call.callee} · ${call.app}`));
  });
  fill("calls", [...up, ...over]);
}

function addTurn(item) {
  const turns = byId("turns");
  const following = turns.scrollHeight - turns.scrollTop - turns.clientHeight < 80;
  const before = item.id && document.getElementById(item.id);
  if (before) before.replaceWith(item);
  else turns.append(item);
  while (turns.children.length > TURNS_MAX) turns.firstChild.remove();
  byId("turns-empty").hidden = true;
  if (following) turns.scrollTop = turns.scrollHeight;
}

function showTurn({ subject, data }) {
  const note = [clock(data.started)];
  if (data.who === "caller" && data.confidence !== null) note.push(`${Math.round(data.confidence * 100)} % sure`);
  const item = element("li", data.who);
  item.id = `turn-${subject}-${data.seq}`;
  const interrupted = data.who === "agent" && data.heard !== null && data.heard !== data.text;
  if (interrupted && data.text.startsWith(data.heard)) {
    item.append(data.heard, element("s", "", data.text.slice(data.heard.length)));
    note.push("interrupted");
  } else {
    item.append(data.text);
  }
  item.append(element("small", "", note.join(" · ")));
  addTurn(item);
}

// What was said before this page was opened: the talk that is on, else the last one.
async function showPast({ live, items }) {
  const call = [...live, ...items].find((one) => one.conversation_id);
  if (!call || byId("turns").children.length > 0) return;
  try {
    const { turns } = await ask(`/v1/conversations/${encodeURIComponent(call.conversation_id)}`);
    if (byId("turns").children.length > 0) return;
    turns.forEach((turn) => showTurn({ subject: turn.conversation_id, data: turn }));
  } catch {
    // It may not have begun; its turns then come with the events.
  }
}

let pending = null;
function refreshSoon() {
  pending ??= setTimeout(refresh, 150);
}

async function refresh() {
  pending = null;
  try {
    const [apps, builds, calls, health] =
      await Promise.all([ask("/v1/apps"), ask("/v1/builds"), ask("/v1/calls"), ask("/health")]);
    showApps(apps);
    showBuilds(builds);
    showCalls(calls);
    showPast(calls);
    const engines = health.engines.map((e) => `${e.part} ${e.name}${e.limited ? " (limited)" : ""}`).join(", ");
    const unwell = health.subsystems.filter((part) => !part.healthy).map((part) => `${part.name}: ${part.note}`).join("; ");
    byId("certificate").textContent = health.https ? `HTTPS certificate, SHA-256 ${health.https.fingerprint}` : "";
    byId("health").textContent = [unwell || "All is well", engines, `version ${health.version}`].filter(Boolean).join(" · ");
  } catch {
    byId("health").textContent = "The daemon does not answer.";
  }
}

const heard = {
  "conversation.turn": showTurn,
  "call.answered": (event) => {
    addTurn(element("li", "call", `${clock(event.time)} a call was answered`));
    refreshSoon();
  },
  "call.ended": (event) => {
    addTurn(element("li", "call", `${clock(event.time)} the call ended`));
    refreshSoon();
  },
};
for (const kind of ["call.started", "build.request.created", "build.stage.changed", "build.slow", "app.live", "app.down", "app.rolled_back", "app.deleted"]) {
  heard[kind] = refreshSoon;
}

// Server-sent events by hand: EventSource cannot bear a token.
let last = null;
async function follow() {
  try {
    const answer = await get("/v1/events", { accept: "text/event-stream", ...(last && { "last-event-id": last }) });
    if (!answer.ok) throw new Error(`/v1/events: ${answer.status}`);
    byId("link").classList.add("on");
    refresh();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const messages = (rest + value).split("\n\n");
      rest = messages.pop();
      for (const message of messages) {
        const field = (name) => message.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        last = field("id") ?? last;
        const data = field("data");
        if (data) heard[field("event")]?.(JSON.parse(data));
      }
    }
  } catch {
    // The daemon is away, or wants a token: tried again below.
  }
  byId("link").classList.remove("on");
  setTimeout(follow, 3000);
}

refresh();
follow();
setInterval(refresh, 5000);
