// Every type of app in headless Chromium: sign in, create, edit, search, delete, check out, look at charts.
// node --experimental-websocket types.mjs CALLWRIGHT BUNDLES PICTURES: BUNDLES holds one generated bundle per type.
// node --experimental-websocket types.mjs --live TYPE URL CODE PICTURES: one app that is live already, and its set-up code.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const live = process.argv[2] === "--live" ? { type: process.argv[3], url: process.argv[4].replace(/\/$/, ""), code: process.argv[5] } : null;
const [callwright, bundles] = process.argv.slice(2);
const pictures = live ? process.argv[6] : process.argv[4];
const PASSWORD = "a long enough pass phrase";
const scratch = mkdtempSync(join(tmpdir(), "app-types-"));
mkdirSync(pictures, { recursive: true });
const children = [];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function eventually(what, look) {
  for (let n = 0; n < 600; n++) {
    try {
      const found = await look();
      if (found) return found;
    } catch {
      // Not there yet.
    }
    await sleep(50);
  }
  throw new Error(`never happened: ${what}`);
}

const freePort = () =>
  new Promise((done) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

async function chromium() {
  const port = await freePort();
  const child = spawn(process.env.CHROMIUM || "chromium", [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
    `--remote-debugging-port=${port}`, `--user-data-dir=${join(scratch, "chromium")}`, "about:blank",
  ], { stdio: "ignore" });
  children.push(child);
  const targets = await eventually("Chromium starts", async () => (await fetch(`http://127.0.0.1:${port}/json`)).json());
  const socket = new WebSocket(targets.find((t) => t.type === "page").webSocketDebuggerUrl);
  await new Promise((done, fail) => ((socket.onopen = done), (socket.onerror = fail)));
  let last = 0;
  const waiting = new Map();
  const outside = [];
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.id) {
      const { done, fail } = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) fail(new Error(message.error.message));
      else done(message.result);
    } else if (message.method === "Network.requestWillBeSent" && !/^(http:\/\/127\.0\.0\.1|data:|about:)/.test(message.params.request.url)) {
      outside.push(message.params.request.url);
    } else if (message.method === "Log.entryAdded" && message.params.entry.source === "security") {
      outside.push(message.params.entry.text);
    }
  };
  const ask = (method, params = {}) =>
    new Promise((done, fail) => {
      waiting.set(++last, { done, fail });
      socket.send(JSON.stringify({ id: last, method, params }));
    });
  for (const part of ["Page", "Network", "Log", "Runtime"]) await ask(`${part}.enable`);
  return { ask, outside };
}

class Browser {
  constructor(ask, base, code) {
    this.ask = ask;
    this.base = base;
    this.code = code;
  }
  async run(code) {
    const answer = await this.ask("Runtime.evaluate", { expression: `(() => { ${code} })()`, returnByValue: true, awaitPromise: true });
    if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception?.description || "script failed");
    return answer.result.value;
  }
  settled(was) {
    return eventually("the page is there", () => this.run(`return document.readyState === "complete" && window.seen !== ${JSON.stringify(was)}`));
  }
  async go(path) {
    await this.run(`window.seen = "left"`);
    await this.ask("Page.navigate", { url: this.base + path });
    await this.settled("left");
  }
  // Fills the form that holds the first of the fields, and sends it by its own button.
  async fill(values, button = "button:not(.quiet)") {
    await this.run(`window.seen = "left";
      const values = ${JSON.stringify(values)};
      const first = document.querySelector("main [name=" + Object.keys(values)[0] + "]:not([type=hidden]), main [name=" + Object.keys(values)[0] + "]");
      if (!first) throw new Error("no field " + Object.keys(values)[0] + " on " + location.href);
      const form = first.form;
      for (const [name, value] of Object.entries(values)) {
        const field = form.elements[name];
        if (!field) throw new Error("no field " + name + " on " + location.href);
        field.value = value;
      }
      form.querySelector(${JSON.stringify(button)}).click();`);
    await this.settled("left");
  }
  async press(selector, text) {
    await this.run(`window.seen = "left";
      const all = [...document.querySelectorAll(${JSON.stringify(selector)})].filter((e) => !${JSON.stringify(text)} || e.textContent.includes(${JSON.stringify(text)}));
      if (!all.length) throw new Error("nothing to press: ${selector} ${text} on " + location.href);
      all[0].click();`);
    await this.settled("left");
  }
  // Opens what is folded; no page follows.
  async open(selector) {
    await this.run(`document.querySelector(${JSON.stringify(selector)}).click()`);
  }
  async sees(...texts) {
    const page = await this.run("return document.title + ' ' + document.body.innerText + ' ' + [...document.querySelectorAll('input,textarea')].map((i) => i.value).join(' ')");
    for (const text of texts) if (!page.includes(text)) throw new Error(`${await this.run("return location.href")} does not show "${text}":\n${page.slice(0, 700)}`);
  }
  async lacks(text) {
    if ((await this.run("return document.body.innerText")).includes(text)) throw new Error(`still shows "${text}"`);
  }
  // Every page has one heading, named fields, and nothing wider than the window.
  async picture(name, { width = 1280, dark = false } = {}) {
    await this.ask("Emulation.setDeviceMetricsOverride", { width, height: 900, deviceScaleFactor: 1, mobile: width < 600 });
    await this.ask("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
    await sleep(150);
    const faults = await this.run(`const faults = [];
      if (document.querySelectorAll("h1").length !== 1) faults.push("headings: " + document.querySelectorAll("h1").length);
      if (!document.documentElement.lang) faults.push("no language");
      for (const i of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
        if (!i.labels.length && !i.getAttribute("aria-label")) faults.push("unnamed field " + i.name);
      for (const s of document.querySelectorAll("svg")) if (!s.querySelector("title")) faults.push("unnamed picture");
      if (document.documentElement.scrollWidth > innerWidth + 1) faults.push("wider than the window: " + document.documentElement.scrollWidth);
      return faults.join("; ")`);
    const { data } = await this.ask("Page.captureScreenshot", { format: "png", captureBeyondViewport: true });
    writeFileSync(join(pictures, `${name}.png`), Buffer.from(data, "base64"));
    await this.ask("Emulation.setDeviceMetricsOverride", { width: 1280, height: 900, deviceScaleFactor: 1, mobile: false });
    if (faults) throw new Error(`${name}: ${faults}`);
  }
  async setUp() {
    await this.go("/setup");
    await this.fill({ code: "111-222-333", name: "Eve", password: PASSWORD });
    await this.sees("not the set-up code");
    await this.fill({ code: await this.code(), name: "Ada", password: PASSWORD });
    await this.open(".me summary");
    await this.press(".me form button", "Sign out");
    await this.go("/settings");
    await this.sees("Sign in");
    await this.fill({ name: "ada", password: PASSWORD });
    await this.sees("Accounts", "Ada");
  }
  // Create, edit, search, delete on the pages of one resource.
  async care(path, values, title, changed) {
    await this.go(`${path}/new`);
    await this.fill(values);
    await this.sees(title);
    await this.press(".actions a", "Edit");
    await this.fill(changed);
    await this.sees(Object.values(changed)[0]);
    await this.go(`${path}?view=list&q=${encodeURIComponent(title.split(" ")[0])}`);
    await this.sees(Object.values(changed)[0]);
    await this.press(".rows .head a", Object.values(changed)[0]);
    await this.open(".confirm summary");
    await this.press(".confirm button", "Yes, delete");
    await this.lacks(Object.values(changed)[0]);
  }
}

const TYPES = {
  async crm(b) {
    await b.go("/contacts/new");
    await b.fill({ name: "Grace Hopper", company: "Navy", email: "grace@navy.example" });
    await b.go("/deals/new");
    await b.fill({ title: "A new ship", contact_id: "1", value_cents: "1250", stage: "proposal" });
    await b.setUp();
    await b.care("/contacts", { name: "Ada Lovelace", company: "Engines" }, "Ada Lovelace", { name: "Ada King" });
    await b.go("/deals");
    await b.sees("A new ship", "$1,250.00");
    await b.picture("crm-board");
    await b.go("/contacts");
    await b.picture("crm-list", { dark: true });
    await b.go("/");
    await b.sees("Open pipeline");
    await b.picture("crm-overview");
  },
  async website(b) {
    await b.go("/");
    await b.picture("website-home");
    await b.picture("website-home-phone", { width: 390 });
    await b.go("/about");
    await b.picture("website-page", { dark: true });
    await b.go("/contact");
    await b.fill({ name: "Eve", email: "nobody", message: "Hello" });
    await b.sees("Write an address like");
    await b.picture("website-contact");
    await b.fill({ email: "eve@example.org" });
    await b.sees("Thank you");
    await b.setUp();
    await b.go("/manage");
    await b.sees("Eve", "Visits a day");
    await b.picture("website-manage");
    await b.care("/pages", { title: "Opening hours", body: "Daily", status: "published" }, "Opening hours", { title: "Opening times" });
    await b.go("/enquiries");
    await b.sees("Eve");
    await b.picture("website-enquiries");
  },
  async shop(b) {
    await b.go("/");
    await b.picture("shop-home");
    await b.go("/goods?category=Kitchen");
    await b.picture("shop-goods", { width: 390 });
    await b.press(".goods a", "mug");
    await b.picture("shop-product");
    await b.fill({ quantity: "2" });
    await b.sees("Sample mug", "$25.80");
    await b.picture("shop-basket");
    await b.press("a.block", "Check out");
    await b.fill({ name: "Eve", email: "eve@example.org", address: "1 Quay" }, "button");
    await b.sees("Test gateway", "$25.80");
    await b.picture("shop-pay");
    await b.press("main button", "Pay $25.80");
    await b.sees("Thank you, Eve");
    await b.picture("shop-order", { dark: true });
    await b.setUp();
    await b.go("/manage");
    await b.sees("Open orders", "$26", "Sample mug");
    await b.picture("shop-manage");
    await b.care("/products", { title: "Blue bowl", price_cents: "12.50", stock: "3", status: "published" }, "Blue bowl", { title: "Blue dish" });
    await b.go("/orders");
    await b.sees("Eve", "To be sent");
    await b.picture("shop-orders");
  },
  async api(b) {
    await b.go("/");
    await b.sees("Authorization: Bearer", "/api/customers");
    await b.picture("api-docs");
    await b.picture("api-docs-phone", { width: 390 });
    await b.setUp();
    await b.care("/customers", { name: "Acme Works", email: "acme@example.org" }, "Acme Works", { name: "Acme Mills" });
    await b.go("/settings");
    await b.run(`document.getElementById("key-name").value = "Till"`);
    await b.press("form[action='/settings/keys'] button");
    await b.sees("shown only now: key_");
    await b.picture("api-settings");
    await b.go("/manage");
    await b.picture("api-manage", { dark: true });
  },
  async dashboard(b) {
    await b.setUp();
    await b.go("/");
    await b.sees("Day by day", "Sample visitors", "By series");
    const drawn = await b.run(`return document.querySelectorAll("svg.chart circle, svg.chart rect").length`);
    if (drawn < 39) throw new Error(`only ${drawn} marks are drawn`);
    await b.picture("dashboard");
    await b.picture("dashboard-phone", { width: 390 });
    await b.run(`window.seen = "left"; const s = document.getElementById("series"); s.value = "Sample orders"; s.dispatchEvent(new Event("change"))`);
    await b.settled("left");
    await b.sees("Sample orders");
    await b.picture("dashboard-series", { dark: true });
    await b.care("/measures", { series: "Boats", day: "2026-01-31", value: "3.5", note: "Boats of the week" }, "Boats", { series: "Ships" });
    await b.go("/measures/import");
    await b.fill({ csv: "series,day,value\nImported,2026-01-30,4\n" });
    await b.sees("1 row was stored.");
    await b.picture("dashboard-import");
  },
  // The box's own figures; CALLS says how many calls have ended at it. They come within a minute.
  async board(b) {
    await b.setUp();
    const calls = process.env.CALLS || "0";
    const told = () => b.run(`const figure = [...document.querySelectorAll(".figure")].find((f) => f.innerText.includes("Calls")); return figure?.querySelector("strong")?.innerText`);
    const until = Date.now() + 90000;
    let shown;
    do {
      await b.go("/");
      shown = await told();
      if (shown !== calls) await sleep(1000);
    } while (shown !== calls && Date.now() < until);
    if (shown !== calls) throw new Error(`${calls} calls have ended, ${shown} are shown`);
    await b.sees("Calls by the hour", "Calls by the day", "How calls ended", "Requests by app");
    // All of today's are in the newest column, and nowhere else.
    const drawn = await b.run(`return [...document.querySelectorAll("svg.chart")].map((s) => s.querySelector("desc").textContent + " " + s.querySelectorAll("rect, circle").length)`);
    if (!drawn.some((text) => text.startsWith("30 values") && text.includes(`Highest ${calls} at `))) throw new Error(`no chart of ${calls} calls: ${drawn.join(" / ")}`);
    await b.picture("board");
    await b.picture("board-phone", { width: 390 });
    await b.run(`window.seen = "left"; const s = document.getElementById("range"); s.value = "7"; s.dispatchEvent(new Event("change"))`);
    await b.settled("left");
    if ((await told()) !== calls) throw new Error("not the same in seven days");
    await b.picture("board-week", { dark: true });
  },
};

// An app of our own, from its bundle.
async function started(name) {
  const port = await freePort();
  const child = spawn(callwright, ["apphost", "--bundle", join(bundles, name), "--data", join(scratch, name), "--listen", `127.0.0.1:${port}`], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (part) => ((said += part), process.stderr.write(part)));
  children.push(child);
  const code = () => eventually("the app says its set-up code", () => said.match(/set-up code (\d{3}-\d{3}-\d{3})/)?.[1]);
  return { base: `http://127.0.0.1:${port}`, code };
}

let failed = 0;
try {
  const { ask, outside } = await chromium();
  const wanted = live ? live.type : process.env.ONLY;
  // The board draws what a box has counted: there must be one.
  for (const [name, use] of Object.entries(TYPES).filter(([name]) => (wanted ? name === wanted : name !== "board"))) {
    const app = live ? { base: live.url, code: async () => live.code } : await started(name);
    const begun = Date.now();
    try {
      // The gateway before a live app shows nobody what is its own.
      await eventually(`${name} serves`, async () => (await fetch(app.base + (live ? "/" : "/_/health"))).status < 500);
      await use(new Browser(ask, app.base, app.code));
      if (outside.length) throw new Error(`asked elsewhere or was stopped by its policy: ${outside.join(", ")}`);
      console.log(`ok   ${name} (${Date.now() - begun} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name}: ${error.message}`);
    }
    outside.length = 0;
  }
  if (live && !TYPES[live.type]) throw new Error(`no type ${live.type}: ${Object.keys(TYPES).join(", ")}`);
} finally {
  for (const child of children) child.kill();
  await sleep(300);
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(failed ? 1 : 0);
