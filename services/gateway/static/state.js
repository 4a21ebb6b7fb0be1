// What every page shows from: the latest figures.

import { follow, get, Trouble } from "./api.js";
import { span } from "./format.js";

const OLD_S = 10; // the monitor publishes every second or so

export const state = {
  figures: null,
  topics: null,
  link: "connecting", // live, broken
  away: "", // why the gateway can't look them up, as it says
  trouble: "",
};

let skew = 0; // the server's clock less ours, ms
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
}
