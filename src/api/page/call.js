// The page that calls: what client.js tells, shown. What was said goes in as text, never as markup.
"use strict";

const TURNS_MAX = 200;
const TOKEN = "callwright-token";
const STATES = { new: "Ready to call", asking: "Waiting for your microphone", calling: "Calling", talking: "Connected",
  reconnecting: "Connection lost, trying again", ended: "Call ended" };
const KEYS = [["1", ""], ["2", "ABC"], ["3", "DEF"], ["4", "GHI"], ["5", "JKL"], ["6", "MNO"], ["7", "PQRS"], ["8", "TUV"], ["9", "WXYZ"],
  ["*", ""], ["0", "+"], ["#", ""]];
const QUIET = ["local", "remote"];
const byId = (id) => document.getElementById(id);
let call = null;
let since = null;
let ticking = null;

function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

function show(id, value, unit) {
  byId(id).textContent = value === null || value === undefined ? "–" : `${value}${unit}`;
}

function showState(state, reason) {
  byId("phone").dataset.state = state;
  byId("state").textContent = STATES[state];
  const up = !["new", "ended"].includes(state);
  byId("dial").hidden = up;
  byId("keys").hidden = byId("levels").hidden = !up;
  byId("whom").textContent = up && byId("to").value ? `to ${byId("to").value.trim()}` : "";
  for (const id of ["mute", "pad"]) byId(id).disabled = state !== "talking" && state !== "reconnecting";
  if (state === "asking") byId("hang-up").focus();
  if (state === "talking") {
    showDevices();
    since ??= Date.now();
    ticking ??= setInterval(showClock, 500);
    showClock();
  }
  if (state === "ended") showEnd(reason);
}

function showClock() {
  const seconds = Math.floor((Date.now() - since) / 1000);
  byId("clock").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function showEnd(reason) {
  clearInterval(ticking);
  since = ticking = null;
  showLevel({ mine: 0, theirs: 0 });
  keypad(false);
  mute(false);
  explain(reason, QUIET.includes(reason.code));
  byId("call").focus();
  if (reason.code === "token" && askToken()) dial();
}

function explain(reason, calm = false) {
  const note = byId("refusal");
  const [title, ...rest] = reason.message.split(/(?<=\.) /);
  note.className = calm ? "refusal calm" : "refusal";
  note.replaceChildren(element("b", "", title), rest.join(" "));
  const told = reason.detail && !calm && !reason.message.includes(reason.detail);
  if (told) note.append(element("small", "", reason.detail));
  note.hidden = false;
}

function showLevel({ mine, theirs }) {
  byId("mine").style.transform = `scaleX(${mine.toFixed(3)})`;
  byId("theirs").style.transform = `scaleX(${theirs.toFixed(3)})`;
}

function showCaption({ id, who, text, heard, time, confidence }) {
  const turns = byId("turns");
  const following = turns.scrollHeight - turns.scrollTop - turns.clientHeight < 80;
  const note = [who === "caller" ? "You" : "Them", time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })];
  const item = element("li", who);
  item.id = `turn-${id}`;
  if (heard !== null && text.startsWith(heard)) {
    item.append(heard, element("s", "", text.slice(heard.length)));
    note.push("interrupted");
  } else {
    item.append(text);
  }
  if (who === "caller" && confidence !== null && confidence < 0.6) note.push("not sure");
  item.append(element("small", "", note.join(" · ")));
  const before = byId(item.id);
  if (before) before.replaceWith(item);
  else turns.append(item);
  while (turns.children.length > TURNS_MAX) turns.firstChild.remove();
  byId("turns-empty").hidden = true;
  if (following) turns.scrollTop = turns.scrollHeight;
}

function showStats({ roundTripMs, jitterBufferMs, lossPercent, responseMs, codec }) {
  show("response", responseMs, " ms");
  show("round-trip", roundTripMs, " ms");
  show("buffer", jitterBufferMs, " ms");
  show("lost", lossPercent === null ? null : lossPercent.toFixed(1), " %");
  show("codec", codec, "");
}

async function showDevices() {
  const list = byId("device");
  const chosen = list.value;
  const found = (await callwright.devices().catch(() => [])).filter(({ id }) => id !== "default");
  list.replaceChildren(new Option("As the browser chooses", ""), ...found.map(({ id, label }) => new Option(label, id)));
  list.value = found.some(({ id }) => id === chosen) ? chosen : "";
}

function askToken() {
  const given = prompt("The token of this machine:");
  if (given) sessionStorage.setItem(TOKEN, given.trim());
  return Boolean(given);
}

function dial() {
  byId("refusal").hidden = true;
  byId("turns").replaceChildren();
  byId("turns-empty").hidden = false;
  byId("clock").textContent = "";
  showStats({ roundTripMs: null, jitterBufferMs: null, lossPercent: null, responseMs: null, codec: null });
  call = callwright.call({
    to: byId("to").value.trim() || undefined,
    device: byId("device").value || undefined,
    token: sessionStorage.getItem(TOKEN) ?? undefined,
    onState: (state, reason) => (reason && state !== "ended" ? explain(reason) : showState(state, reason)),
    onCaption: showCaption,
    onLevel: showLevel,
    onStats: showStats,
  });
}

function mute(on) {
  call?.mute(on);
  byId("mute").setAttribute("aria-pressed", String(on));
  byId("mute").querySelector("span").textContent = on ? "Muted" : "Mute";
}

function keypad(open) {
  byId("keypad").hidden = !open;
  byId("pad").setAttribute("aria-expanded", String(open));
}

function press(key) {
  const button = document.querySelector(`[data-key="${key}"]`);
  if (!call?.sendDigits(key)) {
    explain({ message: "This call takes no keys. Say it instead.", detail: "" }, true);
    return;
  }
  button?.animate?.([{ opacity: 0.4 }, { opacity: 1 }], { duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150 });
}

byId("keypad").append(...KEYS.map(([key, letters]) => {
  const button = element("button", "", key, element("small", "", letters));
  button.type = "button";
  button.dataset.key = key;
  button.setAttribute("aria-label", { "*": "star", "#": "hash" }[key] ?? key);
  button.addEventListener("click", () => press(key));
  return button;
}));
byId("to").value = new URLSearchParams(location.search).get("to") ?? "";
byId("dial").addEventListener("submit", (event) => {
  event.preventDefault();
  dial();
});
byId("hang-up").addEventListener("click", () => call?.hangUp());
byId("mute").addEventListener("click", () => mute(!call?.muted));
byId("pad").addEventListener("click", () => keypad(byId("keypad").hidden));
byId("device").addEventListener("change", () => {
  call?.setDevice(byId("device").value || undefined).catch((reason) => explain(reason));
});
document.addEventListener("keydown", ({ key, target, ctrlKey, metaKey, altKey }) => {
  if (call?.state !== "talking" || ctrlKey || metaKey || altKey || ["INPUT", "SELECT"].includes(target.tagName)) return;
  if (/^[0-9*#]$/.test(key)) press(key);
  if (key === "m") mute(!call.muted);
});
navigator.mediaDevices?.addEventListener?.("devicechange", showDevices);
if (!isSecureContext) explain({ message: callwright.words.insecure, detail: "" });
showState("new", null);
showDevices();
