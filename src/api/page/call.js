// The page that calls: what client.js tells, shown. What was said goes in as text, never as markup.
"use strict";

const TURNS_MAX = 200;
const TOKEN = "callwright-token";
const STATES = { new: "Ready to call", asking: "Waiting for your microphone", calling: "Calling", talking: "Connected",
  reconnecting: "Connection lost, trying again", ended: "Call ended" };
const KEYS = [["1", ""], ["2", "ABC"], ["3", "DEF"], ["4", "GHI"], ["5", "JKL"], ["6", "MNO"], ["7", "PQRS"], ["8", "TUV"], ["9", "WXYZ"],
  ["*", ""], ["0", "+"], ["#", ""]];
const QUIET = ["local", "remote"];
const WAITING = { connecting: "One moment …", reconnecting: "Connection lost, trying again. Nobody can call here meanwhile.", closed: "" };
const TITLE = document.title;
// A ring: one second in three, at the pitches of a telephone's.
const RING_EVERY_MS = 3000;
const RING_HZ = [440, 480];
const byId = (id) => document.getElementById(id);
let call = null;
let whom = "";
let line = null;
let bell = null;
let tolling = null;
const rings = new Map();
// Those that ring no more, or never did here.
const over = new WeakSet();
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
  byId("whom").textContent = up ? whom : "";
  for (const id of ["mute", "pad"]) byId(id).disabled = state !== "talking" && state !== "reconnecting";
  if (state === "asking") byId("hang-up").focus();
  if (state === "talking") {
    showDevices();
    showNumbers();
    since ??= Date.now();
    ticking ??= setInterval(showClock, 500);
    showClock();
  }
  if (state === "ended") showEnd(reason);
  showRing();
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

const token = () => sessionStorage.getItem(TOKEN) ?? undefined;

function dial() {
  const to = byId("to").value.trim();
  begin(to && `to ${to}`, (options) => callwright.call({ ...options, to: to || undefined }));
}

function begin(other, make) {
  whom = other;
  byId("refusal").hidden = true;
  byId("turns").replaceChildren();
  byId("turns-empty").hidden = false;
  byId("clock").textContent = "";
  showStats({ roundTripMs: null, jitterBufferMs: null, lossPercent: null, responseMs: null, codec: null });
  call = make({
    device: byId("device").value || undefined,
    token: token(),
    onState: (state, reason) => (reason && state !== "ended" ? explain(reason) : showState(state, reason)),
    onCaption: showCaption,
    onLevel: showLevel,
    onStats: showStats,
  });
}

// Numbers at which this page may be called; none without the token where one is wanted.
async function showNumbers() {
  const headers = token() ? { authorization: `Bearer ${token()}` } : {};
  const facts = await fetch("/v1/webrtc", { headers, cache: "no-store" }).then((answer) => (answer.ok ? answer.json() : {}), () => ({}));
  // While it waits, what was chosen stays.
  if (line) return;
  byId("at").replaceChildren(...(facts.phones ?? []).map((number) => new Option(number, number)));
  byId("wait").hidden = byId("at").options.length === 0;
}

function wait() {
  const number = byId("at").value;
  // Browsers let a page ring only after somebody has touched it.
  bell ??= new AudioContext();
  line = callwright.phone({ number, token: token(), onState: (state, reason) => showWaiting(number, state, reason), onRing });
  showWaiting(number, line.state, null);
}

function showWaiting(number, state, reason) {
  const on = state !== "closed";
  if (!on) line = null;
  byId("listen").setAttribute("aria-pressed", String(on));
  byId("listen").textContent = on ? "Stop" : "Take calls";
  byId("at").disabled = on;
  byId("waiting").textContent = reason?.message ?? WAITING[state] ?? `Calls to ${number} ring here while this page is open.`;
  if (reason?.code === "token" && askToken()) wait();
}

function onRing(ring) {
  rings.set(ring.id, ring);
  showRing();
  ring.over.then(() => {
    over.add(ring);
    rings.delete(ring.id);
    showRing();
  });
}

const firstRing = () => rings.values().next().value;
const callerOf = ({ name, from }) => name ?? from ?? "Somebody";

function showRing() {
  const ring = firstRing();
  const busy = call && call.state !== "ended";
  byId("ring").hidden = !ring;
  document.title = ring ? `${callerOf(ring)} is calling` : TITLE;
  toll(Boolean(ring) && !busy);
  if (!ring) return;
  byId("ringer").textContent = callerOf(ring);
  const from = ring.name && ring.from && ring.name.toLowerCase() !== ring.from.toLowerCase() ? ` from ${ring.from}` : "";
  byId("rung").textContent = `calls ${ring.number}${from}`;
  byId("answer").querySelector("span").textContent = busy ? "End and answer" : "Answer";
}

function answer() {
  const ring = firstRing();
  if (!ring) return;
  rings.delete(ring.id);
  call?.hangUp();
  begin(`with ${callerOf(ring)}`, (options) => ring.answer(options));
  // One that was not taken after all (the microphone is not allowed) rings on.
  call.over.then(() => {
    if (!over.has(ring)) rings.set(ring.id, ring);
    showRing();
  });
}

function toll(on) {
  if (on === (tolling !== null)) return;
  clearInterval(tolling);
  tolling = on ? setInterval(strike, RING_EVERY_MS) : null;
  if (on) strike();
}

function strike() {
  const loud = new GainNode(bell, { gain: 0.04 });
  loud.connect(bell.destination);
  for (const frequency of RING_HZ) {
    const tone = new OscillatorNode(bell, { frequency });
    tone.connect(loud);
    tone.start();
    tone.stop(bell.currentTime + 1);
    tone.onended = () => loud.disconnect();
  }
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
byId("listen").addEventListener("click", () => (line ? line.close() : wait()));
byId("answer").addEventListener("click", answer);
byId("decline").addEventListener("click", () => firstRing()?.decline());
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
showNumbers();
