// Types of client.js: `/// <reference path="client.d.ts" />`, or a copy of this file among a project's own.

declare namespace callwright {
  /** `new` → `asking` (for the microphone) → `calling` → `talking` ⇄ `reconnecting` → `ended`; it may end from each of them. */
  type State = "new" | "asking" | "calling" | "talking" | "reconnecting" | "ended";

  /** Why a call ended or never was. */
  type Code =
    | "insecure" | "unsupported" | "denied" | "no-microphone" | "microphone-busy"
    | "token" | "too-many-tries" | "forbidden" | "no-route" | "busy" | "full" | "declined" | "no-answer" | "codecs" | "gone"
    | "unreachable" | "network" | "lost" | "failed" | "remote" | "local";

  interface Reason {
    readonly code: Code;
    /** For people: what happened and what to do. */
    readonly message: string;
    /** For those who look after it: the words of the browser or the machine; may be empty. */
    readonly detail: string;
  }

  interface Caption {
    /** The same when the same turn comes again, corrected. */
    readonly id: string;
    readonly who: "caller" | "agent";
    readonly text: string;
    /** What of it was heard before it was interrupted; `null`: all of it. */
    readonly heard: string | null;
    readonly time: Date;
    /** 0 to 1, of the recogniser; `null` for the agent. */
    readonly confidence: number | null;
  }

  /** 0 (silence) to 1 (loud speech), on a scale of decibels. */
  interface Level {
    readonly mine: number;
    readonly theirs: number;
  }

  /** `null`: not known (yet). */
  interface Stats {
    readonly roundTripMs: number | null;
    /** How long sound waits here to be played, over the last second. */
    readonly jitterBufferMs: number | null;
    readonly jitterMs: number | null;
    readonly lossPercent: number | null;
    /** From the end of what the caller said to the beginning of the agent's answer, the last time. */
    readonly responseMs: number | null;
    readonly codec: string | null;
  }

  /** The one envelope of the machine's events. */
  interface Event {
    readonly seq: number;
    readonly id: string;
    readonly type: string;
    readonly time: string;
    readonly subject: string;
    readonly data: unknown;
  }

  interface Options {
    /** The number; the machine's own choice unless said. */
    to?: string;
    /** Another machine than the one that the script came from. Its `[webrtc] origins` must name this page's origin. */
    server?: string;
    /** The token of `[http]`, where one is wanted. */
    token?: string;
    /** A microphone's id; the browser's choice unless said. */
    device?: string;
    /** Plays the other side; an element of the client's own unless said. */
    audio?: HTMLAudioElement;
    onState?(state: State, reason: Reason | null): void;
    onCaption?(caption: Caption): void;
    /** Some sixteen times a second. */
    onLevel?(level: Level): void;
    /** Once a second. */
    onStats?(stats: Stats): void;
    onEvent?(event: Event): void;
  }

  interface Device {
    readonly id: string;
    readonly label: string;
  }

  interface Call {
    /** The call's id in the API; `null` before it is answered. */
    readonly id: string | null;
    readonly state: State;
    readonly reason: Reason | null;
    readonly muted: boolean;
    /** Resolves when the call has ended; never rejects. */
    readonly over: Promise<Reason>;
    /** The other way round unless said; gives what is so from now on. */
    mute(on?: boolean): boolean;
    /** Keys of a telephone: `0`–`9`, `*`, `#`, `A`–`D`. `false`: they were not sent. */
    sendDigits(digits: string): boolean;
    hangUp(): void;
    devices(): Promise<Device[]>;
    /** Goes on with another microphone; `undefined`: the browser's choice. Rejects with a reason when it cannot be had. */
    setDevice(id: string | undefined): Promise<void>;
  }

  /** `connecting` → `waiting` ⇄ `reconnecting`; `closed` from each of them. */
  type PhoneState = "connecting" | "waiting" | "reconnecting" | "closed";

  /** A call that rings. */
  interface Ring {
    readonly id: string;
    /** The number that rings. */
    readonly number: string;
    /** The caller's number; `null`: withheld, or none. */
    readonly from: string | null;
    readonly name: string | null;
    /** Resolves when it does not ring any more: taken (here or elsewhere), declined, or given up. Never rejects. */
    readonly over: Promise<"answered" | "declined" | "missed">;
    /** Takes the call. Must be called from a click or a key, or browsers stay silent. It ends with `gone` where others were faster. */
    answer(options?: Omit<Options, "to">): Call;
    /** For all pages that wait at the number. */
    decline(): Promise<void>;
  }

  interface PhoneOptions {
    /** One of the machine's `[[extensions]]` or `[webrtc] phones`. */
    number: string;
    /** As in `Options`. */
    server?: string;
    /** The token of `[http]`, where one is wanted: calls of others are not for whoever has none. */
    token?: string;
    onRing(ring: Ring): void;
    onState?(state: PhoneState, reason: Reason | null): void;
  }

  interface Phone {
    readonly state: PhoneState;
    close(): void;
  }

  /** Waits for calls to a number until it is closed, or the page is. */
  function phone(options: PhoneOptions): Phone;
  /** Must be called from a click or a key, or browsers stay silent. */
  function call(options?: Options): Call;
  function devices(): Promise<Device[]>;
  /** What each reason is called. */
  const words: Readonly<Record<Code, string>>;
}
