// What the page asks of its gateway, with the key where one is needed. Streams are read by fetch, not by EventSource:
// that can't send a key.

const KEY = "reasonmed-key";
const BASE = new URL("..", import.meta.url); // the page is served from dashboard/ of the gateway, wherever that is
const SILENT_MS = 40_000; // the gateway says at least a comment every 15 s

/** Why an answer wasn't had: `status` is HTTP's, 0 where none came; `message` is for people. */
export class Trouble extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** What asks the user for a key: a promise of it. `wrong`: the last one was not taken. */
export const prompt = { ask: async (wrong) => wrong };
let asking = null;

/** A JSON answer. Throws Trouble; an AbortError where `signal` says so. */
export async function get(path, signal) {
  return (await ask(path, signal)).json();
}

async function ask(path, signal) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    const answer = await fetch(new URL(path, BASE), { headers, signal, cache: "no-store" }).catch((error) => {
      throw error.name === "AbortError" ? error : new Trouble(0, "The gateway does not answer.");
    });
    if (answer.ok) return answer;
    if (answer.status !== 401) throw new Trouble(answer.status, await reason(answer));
    if (sessionStorage.getItem(KEY) === key) {
      asking ??= prompt.ask(key !== null).finally(() => (asking = null)); // one question for all who wait
      sessionStorage.setItem(KEY, await asking);
    }
    signal?.throwIfAborted();
  }
}

async function reason(answer) {
  const body = await answer.json().catch(() => ({}));
  return typeof body.error === "string" ? body.error : `The gateway says ${answer.status}.`;
}

/** Reads a stream of events until `end`, and connects again whenever it breaks. Nothing is read while the page can't be
 * seen: a browser has six connections to a host for all its tabs. Calls `on.event(name, data)`, `on.open(clock)` with
 * the server's clock less ours in ms, `on.hidden()`, `on.broken(trouble)`. Returns what stops it. */
export function follow(path, on) {
  const stop = new AbortController();
  (async () => {
    for (let tries = 0; !stop.signal.aborted; tries++) {
      await seen(stop.signal);
      const away = new AbortController();
      const leave = () => document.hidden && away.abort();
      document.addEventListener("visibilitychange", leave);
      try {
        const signal = AbortSignal.any([stop.signal, away.signal]);
        if (await listen(path, on, signal, () => (tries = 0))) return;
        throw new Trouble(0, "The stream of events ended.");
      } catch (error) {
        if (stop.signal.aborted) return;
        if (away.signal.aborted) {
          on.hidden?.();
          continue;
        }
        on.broken?.(error instanceof Trouble ? error : new Trouble(0, "The stream of events broke."));
      } finally {
        document.removeEventListener("visibilitychange", leave);
      }
      await pause(Math.min(8_000, 500 * 2 ** tries), stop.signal);
    }
  })();
  return () => stop.abort();
}

const seen = (stop) =>
  new Promise((resolve) => {
    const look = () => (!document.hidden || stop.aborted) && resolve();
    document.addEventListener("visibilitychange", look, { signal: stop });
    stop.addEventListener("abort", look, { once: true });
    look();
  });

async function listen(path, on, stop, reached) {
  const quiet = new AbortController();
  const answer = await ask(path, AbortSignal.any([stop, quiet.signal]));
  reached();
  on.open?.(clock(answer));
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => quiet.abort(), SILENT_MS);
  };
  try {
    for await (const [name, data] of events(answer.body.getReader(), heard)) {
      if (name === "end") return true;
      on.event(name, JSON.parse(data));
    }
    return false;
  } finally {
    clearTimeout(timer);
  }
}

function clock(answer) {
  const server = Date.parse(answer.headers.get("Date"));
  return Number.isNaN(server) || Math.abs(server - Date.now()) < 2_000 ? 0 : server - Date.now();
}

async function* events(reader, heard) {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    heard();
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = block.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line)?.slice(1) ?? []);
      const data = fields.filter(([name]) => name === "data").map(([, value]) => value);
      if (data.length) yield [fields.find(([name]) => name === "event")?.[1] ?? "message", data.join("\n")];
    }
  }
}

const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
