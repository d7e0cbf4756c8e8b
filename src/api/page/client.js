// Calls from a web page: load this file with one <script>, then `callwright.call({ to: "echo" })`; and calls to it:
// `callwright.phone({ number: "200", onRing: (ring) => ring.answer() })`. Types: client.d.ts beside it.
// It speaks WHIP (RFC 9725) to the machine that the script came from, asks nobody else, and writes nothing into the page.
"use strict";

globalThis.callwright = (() => {
  const HOME = document.currentScript?.src ? new URL(document.currentScript.src).origin : location.origin;
  const LEVEL_EVERY_MS = 60;
  const STATS_EVERY_MS = 1000;
  const CONNECT_MAX_MS = 20_000;
  // A network that changes is given so long before the call is given up.
  const LOST_AFTER_MS = 30_000;
  const AGAIN_AFTER_MS = 1500;
  const LEAVE_MAX_MS = 1000;
  // What still rings is told at once to a page that has come back.
  const RETOLD_MS = 2000;

  // Why a call ended or never was, in words for whoever sits before it.
  const WORDS = {
    insecure: "Browsers give a microphone to secure pages only. Open this page by https://, or on the machine itself by http://localhost.",
    unsupported: "This browser cannot make calls. Any current Chrome, Edge, Firefox or Safari can.",
    denied: "The microphone is not allowed. Allow it for this page (most browsers: the symbol before the address), then call again.",
    "no-microphone": "No microphone was found. Plug one in or switch it on, then call again.",
    "microphone-busy": "The microphone is in use by another program, or does not answer. Close the other program, then call again.",
    token: "This machine wants a token, and the one that was given is not it.",
    "too-many-tries": "Too many wrong tokens came from here. Wait a minute, then call again.",
    forbidden: "This page may not call that number.",
    "no-route": "There is nobody at this number.",
    busy: "The line is busy. Try again in a moment.",
    full: "All lines are in use. Try again in a moment.",
    declined: "The call was declined.",
    "no-answer": "Nobody answered.",
    codecs: "This browser and the machine have no codec in common.",
    unreachable: "The machine does not answer. It may be away; or its certificate is its own, and has to be accepted once by opening its address in a tab.",
    network: "The call was answered, but its sound cannot get through: the network between here and there seems to block UDP.",
    lost: "The connection was lost.",
    gone: "Somebody else took the call, or the caller gave up.",
    failed: "The machine could not take the call.",
    remote: "The other side hung up.",
    local: "You hung up.",
  };
  const BY_SIP = { 403: "forbidden", 404: "no-route", 408: "no-answer", 410: "no-route", 480: "no-answer", 484: "no-route",
    486: "busy", 488: "codecs", 600: "busy", 603: "declined", 604: "no-route", 606: "codecs" };
  const BY_HTTP = { 401: "token", 403: "forbidden", 404: "no-route", 415: "failed", 422: "codecs", 429: "too-many-tries", 503: "full" };
  const BY_MICROPHONE = { NotAllowedError: "denied", SecurityError: "denied", NotFoundError: "no-microphone",
    OverconstrainedError: "no-microphone", NotReadableError: "microphone-busy", AbortError: "microphone-busy" };

  class Refusal extends Error {
    constructor(code, detail = "") {
      super(WORDS[code] ?? WORDS.failed);
      this.code = code;
      this.detail = detail;
    }
  }

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const lines = (sdp) => sdp.split(/\r?\n/).filter(Boolean);
  const attribute = (sdp, name) => lines(sdp).find((line) => line.startsWith(`a=${name}:`))?.slice(name.length + 3);

  // By hand, since EventSource cannot bear a token.
  async function* events(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const messages = (rest + value).split("\n\n");
      rest = messages.pop();
      for (const message of messages) {
        const field = (name) => message.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        yield { id: field("id"), name: field("event"), data: field("data") };
      }
    }
  }

  function request(home, token, path, { method = "GET", headers = {}, body, keepalive = false, signal } = {}) {
    const all = { ...headers, ...(token && { authorization: `Bearer ${token}` }) };
    return fetch(new URL(path, home), { method, headers: all, body, keepalive, signal, cache: "no-store" }).catch((error) => {
      throw error.name === "AbortError" ? error : new Refusal("unreachable", error.message);
    });
  }

  async function refusal(answer) {
    const problem = await answer.json().catch(() => ({}));
    const code = BY_SIP[problem.sip_code] ?? BY_HTTP[answer.status] ?? "failed";
    return new Refusal(code, problem.detail ?? `HTTP ${answer.status}`);
  }

  const homeOf = (options) => (options.server ? new URL(options.server, location.href).origin : HOME);

  function microphone(device) {
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    if (device) audio.deviceId = { exact: device };
    return navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
      throw new Refusal(BY_MICROPHONE[error.name] ?? "microphone-busy", error.message);
    });
  }

  // How loud a stream is now, 0 to 1, on a scale as ears have it: -60 dB is silence, -10 dB is loud speech.
  class Ear {
    constructor(context, stream) {
      this.source = context.createMediaStreamSource(stream);
      this.analyser = new AnalyserNode(context, { fftSize: 1024, smoothingTimeConstant: 0 });
      this.samples = new Float32Array(this.analyser.fftSize);
      this.source.connect(this.analyser);
    }

    level() {
      this.analyser.getFloatTimeDomainData(this.samples);
      const power = this.samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples.length;
      const decibels = 10 * Math.log10(power + 1e-9);
      return Math.min(1, Math.max(0, (decibels + 60) / 50));
    }

    close() {
      this.source.disconnect();
    }
  }

  class Call {
    constructor(options) {
      this.options = options;
      this.home = homeOf(options);
      this.state = "new";
      this.reason = null;
      this.muted = false;
      this.ears = {};
      this.stop = new AbortController();
      this.over = new Promise((tell) => (this.tellOver = tell));
      this.begin();
    }

    tell(name, ...told) {
      try {
        this.options[name]?.(...told);
      } catch (error) {
        // What the page does with the news is its own affair, and no reason to end a call.
        console.error(error);
      }
    }

    enter(state) {
      if (this.state === state || this.state === "ended") return;
      this.state = state;
      this.tell("onState", state, this.reason);
    }

    request(path, asked = {}) {
      return request(this.home, this.options.token, path, { signal: this.stop.signal, ...asked });
    }

    async begin() {
      try {
        // Whoever called has the object before the first news of it.
        await null;
        if (!globalThis.isSecureContext) throw new Refusal("insecure");
        if (!globalThis.RTCPeerConnection || !navigator.mediaDevices?.getUserMedia) throw new Refusal("unsupported");
        this.enter("asking");
        this.take(await microphone(this.options.device));
        this.enter("calling");
        await this.dial();
      } catch (error) {
        if (error.name !== "AbortError") this.end(error instanceof Refusal ? error : new Refusal("failed", String(error)));
      }
    }

    // A microphone, which may have been allowed after the call was given up.
    take(stream) {
      if (this.state === "ended") {
        stream.getTracks().forEach((track) => track.stop());
        throw new DOMException("the call is over", "AbortError");
      }
      this.stream?.getTracks().forEach((track) => track.stop());
      this.stream = stream;
      const [track] = stream.getAudioTracks();
      track.enabled = !this.muted;
      track.onended = () => this.stream === stream && this.replace();
      this.listen("mine", stream);
      return track;
    }

    // The microphone was unplugged: another one goes on, if there is one.
    replace() {
      if (this.state !== "ended") this.setDevice(undefined).catch((error) => this.tell("onState", this.state, error));
    }

    listen(who, stream) {
      if (!this.options.onLevel) return;
      this.context ??= new AudioContext();
      this.ears[who]?.close();
      this.ears[who] = new Ear(this.context, stream);
      this.levels ??= setInterval(() => {
        this.tell("onLevel", { mine: this.muted ? 0 : this.ears.mine?.level() ?? 0, theirs: this.ears.theirs?.level() ?? 0 });
      }, LEVEL_EVERY_MS);
    }

    async dial() {
      const answer = await this.request("/v1/webrtc");
      if (!answer.ok) throw await refusal(answer);
      const { ice_servers: iceServers = [], ice_transport_policy: iceTransportPolicy = "all" } = await answer.json();
      const peer = new RTCPeerConnection({ iceServers, iceTransportPolicy, bundlePolicy: "max-bundle" });
      this.peer = peer;
      peer.addTrack(this.stream.getAudioTracks()[0], this.stream);
      peer.ontrack = ({ track }) => this.hear(track);
      peer.onconnectionstatechange = () => this.connection();
      await peer.setLocalDescription();
      const { to, answers } = this.options;
      const wish = answers ? `?answer=${answers}` : to ? `?to=${encodeURIComponent(to)}` : "";
      const taken = await this.request(`/v1/webrtc${wish}`, {
        method: "POST",
        headers: { "content-type": "application/sdp", accept: "application/sdp" },
        body: peer.localDescription.sdp,
      });
      if (answers && (taken.status === 404 || taken.status === 409)) throw new Refusal("gone");
      if (taken.status !== 201) throw await refusal(taken);
      this.place = new URL(taken.headers.get("location"), this.home).pathname;
      this.id = this.place.split("/").pop();
      const sdp = await taken.text();
      if (this.state === "ended") return this.leave();
      this.onNetwork = () => this.restart();
      globalThis.addEventListener("online", this.onNetwork);
      this.onLeave = () => this.hangUp();
      globalThis.addEventListener("pagehide", this.onLeave);
      this.follow();
      await peer.setRemoteDescription({ type: "answer", sdp });
      this.figures = setInterval(() => this.measure(), STATS_EVERY_MS);
      this.impatience = setTimeout(() => this.end(new Refusal("network")), CONNECT_MAX_MS);
    }

    hear(track) {
      const stream = new MediaStream([track]);
      this.audio = this.options.audio ?? new Audio();
      this.audio.autoplay = true;
      this.audio.srcObject = stream;
      // A browser that wants a touch first has had it: the one that made the call.
      this.audio.play().catch(() => {});
      this.listen("theirs", stream);
    }

    connection() {
      switch (this.peer.connectionState) {
        case "connected":
          clearTimeout(this.impatience);
          clearTimeout(this.givingUp);
          this.givingUp = null;
          this.enter("talking");
          break;
        case "disconnected":
        case "failed":
          if (this.state !== "talking" && this.state !== "reconnecting") break;
          this.enter("reconnecting");
          this.givingUp ??= setTimeout(() => this.end(new Refusal("lost")), LOST_AFTER_MS);
          this.restart();
          break;
        case "closed":
          this.end(new Refusal("remote"));
          break;
      }
    }

    // Checks anew, perhaps from another network (RFC 9725 section 4.3.3), until it works or the call is given up.
    async restart() {
      if (this.restarting || !this.place) return;
      this.restarting = true;
      try {
        do {
          if (this.peer.signalingState !== "stable") await this.peer.setLocalDescription({ type: "rollback" });
          await this.peer.setLocalDescription(await this.peer.createOffer({ iceRestart: true }));
          await this.renegotiate().catch((error) => {
            if (error.name === "AbortError" || error.code === "over") throw error;
          });
          await pause(AGAIN_AFTER_MS);
        } while (this.state === "reconnecting" && this.peer.connectionState !== "connected");
      } catch (error) {
        if (error.code === "over") this.end(new Refusal("remote"));
      } finally {
        this.restarting = false;
      }
    }

    async renegotiate() {
      const ours = this.peer.localDescription.sdp;
      const fragment = [`a=ice-ufrag:${attribute(ours, "ice-ufrag")}`, `a=ice-pwd:${attribute(ours, "ice-pwd")}`,
        lines(ours).find((line) => line.startsWith("m=")), `a=mid:${attribute(ours, "mid")}`, ""].join("\r\n");
      const answer = await this.request(this.place, {
        method: "PATCH",
        headers: { "content-type": "application/trickle-ice-sdpfrag", "if-match": "*" },
        body: fragment,
      });
      if (answer.status === 404) throw new Refusal("over");
      if (answer.status !== 200) throw await refusal(answer);
      const theirs = await answer.text();
      const fresh = ["ice-ufrag", "ice-pwd"].map((name) => `a=${name}:${attribute(theirs, name)}`);
      const candidates = lines(theirs).filter((line) => line.startsWith("a=candidate:") || line === "a=end-of-candidates");
      const kept = lines(this.peer.remoteDescription.sdp).filter((line) => !/^a=(ice-ufrag|ice-pwd|candidate):|^a=end-of-candidates/.test(line));
      const sdp = [...kept, ...fresh, ...candidates, ""].join("\r\n");
      await this.peer.setRemoteDescription({ type: "answer", sdp });
    }

    // What happens on the call and what is said, as server-sent events.
    async follow() {
      let last = null;
      while (this.state !== "ended") {
        try {
          const headers = { accept: "text/event-stream", ...(last && { "last-event-id": last }) };
          const answer = await this.request(`${this.place}/events`, { headers });
          if (answer.status === 404) return this.end(new Refusal("remote"));
          if (answer.ok) {
            for await (const { id, data } of events(answer)) {
              last = id ?? last;
              if (data) this.happened(JSON.parse(data));
            }
          }
        } catch (error) {
          if (error.name === "AbortError") return;
        }
        await pause(AGAIN_AFTER_MS);
      }
    }

    happened(event) {
      this.tell("onEvent", event);
      if (event.type === "call.ended") this.end(new Refusal("remote"));
      if (event.type !== "conversation.turn") return;
      const { seq, who, text, heard, started, ended, confidence } = event.data;
      const cut = who === "agent" && heard !== null && heard !== text;
      if (who === "caller" && ended) this.spokeUntil = Math.max(this.spokeUntil ?? 0, Date.parse(ended));
      if (who === "agent" && this.spokeUntil && seq > (this.answered ?? 0)) {
        const took = Date.parse(started) - this.spokeUntil;
        if (took >= 0) {
          this.responseMs = took;
          this.answered = seq;
        }
      }
      this.tell("onCaption", { id: `${event.subject}-${seq}`, who, text, heard: cut ? heard : null, time: new Date(started), confidence });
    }

    async measure() {
      const reports = await this.peer.getStats().catch(() => new Map());
      const all = [...reports.values()];
      const pair = all.find((one) => one.type === "candidate-pair" && one.nominated && one.state === "succeeded");
      const inbound = all.find((one) => one.type === "inbound-rtp" && one.kind === "audio");
      const codec = inbound && reports.get(inbound.codecId);
      const before = this.inbound ?? { jitterBufferDelay: 0, jitterBufferEmittedCount: 0, packetsReceived: 0, packetsLost: 0 };
      const grown = (name) => (inbound?.[name] ?? 0) - (before[name] ?? 0);
      const played = grown("jitterBufferEmittedCount");
      const arrived = grown("packetsReceived");
      const lost = Math.max(0, grown("packetsLost"));
      if (inbound) this.inbound = inbound;
      const ms = (seconds) => (seconds === undefined ? null : Math.round(seconds * 1000));
      if (this.state === "ended") return;
      this.tell("onStats", {
        roundTripMs: ms(pair?.currentRoundTripTime),
        jitterBufferMs: played > 0 ? ms(grown("jitterBufferDelay") / played) : null,
        jitterMs: ms(inbound?.jitter),
        lossPercent: arrived + lost > 0 ? (100 * lost) / (arrived + lost) : null,
        responseMs: this.responseMs ?? null,
        codec: codec?.mimeType?.replace(/^audio\//, "") ?? null,
      });
    }

    leave() {
      // A call that is over, or a page that is being closed, may still say so.
      return this.request(this.place, { method: "DELETE", keepalive: true, signal: null }).catch(() => {});
    }

    end(reason) {
      if (this.state === "ended") return;
      this.reason = { code: reason.code, message: reason.message, detail: reason.detail };
      this.enter("ended");
      this.stop.abort();
      for (const timer of [this.levels, this.figures]) clearInterval(timer);
      for (const timer of [this.impatience, this.givingUp]) clearTimeout(timer);
      globalThis.removeEventListener("online", this.onNetwork);
      globalThis.removeEventListener("pagehide", this.onLeave);
      this.stream?.getTracks().forEach((track) => track.stop());
      Object.values(this.ears).forEach((ear) => ear.close());
      this.context?.close();
      if (this.peer) this.peer.onconnectionstatechange = null;
      if (this.audio) this.audio.srcObject = null;
      // Told by the call's own address first: a connection that is just gone says nothing of who hung up.
      const told = this.place && reason.code !== "remote" ? this.leave() : null;
      Promise.race([told, pause(LEAVE_MAX_MS)]).then(() => this.peer?.close());
      this.tellOver(this.reason);
    }

    hangUp() {
      this.end(new Refusal("local"));
    }

    mute(on) {
      this.muted = on;
      this.stream?.getAudioTracks().forEach((track) => (track.enabled = !on));
      return on;
    }

    sendDigits(digits) {
      const tones = String(digits);
      const dtmf = this.peer?.getSenders().find((sender) => sender.track?.kind === "audio")?.dtmf;
      if (!/^[0-9*#A-D]+$/i.test(tones) || this.state !== "talking" || !dtmf?.canInsertDTMF) return false;
      // Tones that wait are kept.
      dtmf.insertDTMF(dtmf.toneBuffer + tones.toUpperCase(), 120, 80);
      return true;
    }

    async setDevice(device) {
      if (this.state === "ended") return;
      const track = this.take(await microphone(device));
      this.options = { ...this.options, device };
      await this.peer?.getSenders().find((sender) => sender.track?.kind === "audio")?.replaceTrack(track);
    }
  }

  // Names are empty until a microphone was allowed once.
  async function devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    const heard = all.filter((device) => device.kind === "audioinput" && device.deviceId);
    return heard.map(({ deviceId, label }, n) => ({ id: deviceId, label: label || `Microphone ${n + 1}` }));
  }

  // A call that rings here: taken by one page, or by none.
  class Ring {
    constructor(phone, { id, number, from, name }) {
      this.phone = phone;
      this.about = { id, number, from, name };
      this.over = new Promise((tell) => (this.stop = tell));
    }

    answer(options = {}) {
      const { server, token } = this.phone.options;
      return handle(new Call({ server, token, ...options, to: undefined, answers: this.about.id }));
    }

    decline() {
      const path = `/v1/webrtc/${this.about.id}`;
      // One that has stopped ringing cannot be declined, and need not.
      return request(this.phone.home, this.phone.options.token, path, { method: "DELETE" }).then(() => {}, () => {});
    }
  }

  // Waits for calls to a number, for as long as the page is open.
  class Phone {
    constructor(options) {
      this.options = options;
      this.home = homeOf(options);
      this.state = "connecting";
      this.rings = new Map();
      this.stop = new AbortController();
      this.wait();
    }

    tell(name, ...told) {
      try {
        this.options[name]?.(...told);
      } catch (error) {
        console.error(error);
      }
    }

    enter(state, reason = null) {
      if (this.state === state || this.state === "closed") return;
      this.state = state;
      this.tell("onState", state, reason);
    }

    async wait() {
      // Whoever waits has the object before the first news of it.
      await null;
      while (this.state !== "closed") {
        try {
          const path = `/v1/webrtc/phones/${encodeURIComponent(this.options.number)}`;
          const headers = { accept: "text/event-stream" };
          const answer = await request(this.home, this.options.token, path, { headers, signal: this.stop.signal });
          if ([401, 403, 404].includes(answer.status)) return this.close(await refusal(answer));
          if (answer.ok) {
            for await (const { name, data } of events(answer)) if (data) this.happened(name, JSON.parse(data));
          }
        } catch (error) {
          if (error.name === "AbortError") return;
        }
        this.enter("reconnecting");
        await pause(AGAIN_AFTER_MS);
      }
    }

    happened(name, data) {
      if (name === "waiting") {
        this.enter("waiting");
        // What has stopped while nobody listened is not told any more.
        this.untold = new Set(this.rings.keys());
        setTimeout(() => this.untold.forEach((id) => this.silence(id, "missed")), RETOLD_MS);
      }
      if (name === "stop") this.silence(data.id, data.why);
      if (name !== "ring") return;
      this.untold?.delete(data.id);
      if (this.rings.has(data.id)) return;
      const ring = new Ring(this, data);
      this.rings.set(data.id, ring);
      this.tell("onRing", Object.freeze({
        ...ring.about,
        over: ring.over,
        answer: (options) => ring.answer(options),
        decline: () => ring.decline(),
      }));
    }

    silence(id, why) {
      this.untold?.delete(id);
      this.rings.get(id)?.stop(why);
      this.rings.delete(id);
    }

    close(reason = null) {
      if (this.state === "closed") return;
      this.enter("closed", reason && { code: reason.code, message: reason.message, detail: reason.detail });
      this.stop.abort();
      for (const id of [...this.rings.keys()]) this.silence(id, "missed");
    }
  }

  function phone(options) {
    const phone = new Phone(options);
    return Object.freeze({
      get state() { return phone.state; },
      close: () => phone.close(),
    });
  }

  function call(options = {}) {
    return handle(new Call({ ...options, answers: undefined }));
  }

  function handle(call) {
    return Object.freeze({
      get id() { return call.id ?? null; },
      get state() { return call.state; },
      get reason() { return call.reason; },
      get muted() { return call.muted; },
      over: call.over,
      mute: (on = !call.muted) => call.mute(Boolean(on)),
      sendDigits: (digits) => call.sendDigits(digits),
      hangUp: () => call.hangUp(),
      devices,
      setDevice: (id) => call.setDevice(id),
    });
  }

  return Object.freeze({ call, phone, devices, words: Object.freeze({ ...WORDS }) });
})();
