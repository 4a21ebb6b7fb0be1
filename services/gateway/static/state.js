// What every page shows from: the latest figures, and what was seen of them since the page was opened.

import { follow, get, Trouble } from "./api.js";
import { span } from "./format.js";

const OLD_S = 10; // the monitor publishes every second or so
const KEEP_S = 1_800;
const STEP_S = 5; // between what is kept: rates are those of the last minute

export const state = {
  figures: null,
  topics: null,
  link: "connecting", // live, broken
  away: "", // why the gateway can't look them up, as it says
  trouble: "",
};

let skew = 0; // the server's clock less ours, ms
const seen = []; // [at, {topic: messages a minute}]
const listeners = new Set();

/** Calls `changed` on every change, until what is returned is called. */
export function subscribe(changed) {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

const tell = () => listeners.forEach((changed) => changed());

/** Seconds since the figures were counted; null where there are none. */
export const age = () => (state.figures ? Math.max(0, (Date.now() + skew) / 1000 - state.figures.at) : null);

/** Why the figures cannot be trusted; "" where they can. */
export function warning() {
  if (state.link === "broken") return `${state.trouble} Connecting again …`;
  if (state.away) return state.away;
  if (state.link === "live" && state.figures && age() > OLD_S)
    return `These figures are over ${span(Math.floor(age() / 10) * 10)} old: the monitor publishes none. Is it running?`;
  return "";
}

/** Rates by topic: [{name, points: [[at, messages a minute], …]}], in the order of a case's way. */
export const series = () =>
  (state.figures?.topics ?? [])
    .filter(({ topic }) => !topic.endsWith("-dead"))
    .map(({ topic }) => ({ name: topic, points: seen.map(([at, rates]) => [at, rates[topic] ?? 0]) }));

/** Begins to follow the stream of figures. */
export function begin() {
  learnTopics();
  return follow("figures/stream", {
    open(clock) {
      skew = clock;
      state.link = "live";
      state.trouble = "";
      if (!state.topics) learnTopics();
      tell();
    },
    event(name, data) {
      if (name === "away") state.away = data.error;
      if (name === "figures") take(data);
      tell();
    },
    hidden() {
      state.link = "connecting";
    },
    broken(trouble) {
      state.link = "broken";
      state.trouble = trouble.message;
      tell();
    },
  });
}

async function learnTopics() {
  try {
    state.topics = await get("topics");
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    state.trouble = error.message; // asked again when the stream opens
  }
  tell();
}

function take(figures) {
  state.away = "";
  state.figures = figures;
  if (seen.length > 1 && figures.at - seen.at(-2)[0] < STEP_S) seen.pop(); // the last one is always the latest
  seen.push([figures.at, Object.fromEntries(figures.topics.map(({ topic, per_minute }) => [topic, per_minute]))]);
  while (seen.length > 1 && seen[0][0] < figures.at - KEEP_S) seen.shift();
}
