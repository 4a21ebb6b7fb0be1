// The last hour or day as the monitor kept it: rates, cost, latencies. There at load, and asked for again each minute.

import { get, Trouble } from "./api.js";
import { h, render, svg } from "./dom.js";
import { count, moment, span, usd } from "./format.js";

const SPANS = ["1h", "24h"];
const AGAIN_MS = 60_000;
const [WIDTH, HEIGHT] = [160, 34];

const RATES = [
  ["questions", "/min", (point) => point.per_minute["question-submitted"] ?? 0, tenth],
  ["cases ended", "/min", (point) => point.cases_per_minute, tenth],
  ["seconds of a case", "", (point) => point.case_s, span],
  ["model calls", "/min", (point) => point.calls_per_minute, tenth],
  ["seconds of a call", "", (point) => point.call_s, span],
  ["cost", "/h", (point) => point.usd_per_hour, usd],
  ["tokens written", "/s", (point) => point.tokens_per_s, tenth],
];

function tenth(n) {
  return n < 10 ? String(Number(n.toFixed(1))) : count(n);
}

/** Shows it in `place`; returns {close}. */
export function historyPanel(place) {
  const stop = new AbortController();
  let chosen = SPANS[0];
  let found = null;
  let failed = "";

  async function look() {
    const asked = chosen;
    try {
      const had = await get(`figures/history?span=${asked}`, stop.signal);
      if (asked === chosen) [found, failed] = [had, ""];
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Trouble)) throw error;
      failed = error.message;
    }
    show();
  }

  const choose = (wanted) => {
    [chosen, found] = [wanted, null];
    show();
    look();
  };

  function show() {
    const points = found?.points ?? [];
    render(
      place,
      h(
        "div",
        { class: "spans" },
        SPANS.map((name) =>
          h(
            "button",
            { type: "button", class: "plain", "aria-pressed": String(name === chosen), on: { click: () => choose(name) } },
            `last ${name.replace("h", " h")}`,
          ),
        ),
      ),
      points.length
        ? h("div", { class: "sparks" }, [...RATES, ...topics(points)].map((rate) => spark(points, ...rate)))
        : h("p", { class: "nothing" }, failed || (found ? "Nothing yet: the first step takes two minutes." : "Loading …")),
    );
  }

  show();
  look();
  const timer = setInterval(() => document.hidden || look(), AGAIN_MS);
  return {
    close() {
      clearInterval(timer);
      stop.abort();
    },
  };
}

/** Every other topic that moved. */
const topics = (points) =>
  Object.keys(points.at(-1).per_minute)
    .filter((topic) => topic !== "question-submitted" && points.some((point) => point.per_minute[topic]))
    .map((topic) => [topic, "/min", (point) => point.per_minute[topic] ?? 0, tenth]);

function spark(points, name, unit, of, said) {
  const values = points.map((point) => [point.at, of(point)]).filter(([, value]) => value !== null);
  const last = values.at(-1)?.[1];
  const range = values.length ? `${said(Math.min(...values.map(([, v]) => v)))} to ${said(Math.max(...values.map(([, v]) => v)))}` : "none";
  const since = moment(new Date(points[0].at * 1000).toISOString());
  return h(
    "figure",
    { class: "spark", "data-key": name, title: `${name}: ${range}, since ${since}` },
    h("figcaption", {}, h("span", {}, name), h("b", {}, last === undefined ? "–" : said(last), h("small", {}, unit))),
    line(values),
  );
}

function line(values) {
  const top = Math.max(1e-9, ...values.map(([, value]) => value));
  const [first, last] = [values[0]?.[0] ?? 0, values.at(-1)?.[0] ?? 1];
  const x = (at) => (last > first ? ((at - first) / (last - first)) * WIDTH : WIDTH).toFixed(1);
  const y = (value) => (HEIGHT - 2 - (value / top) * (HEIGHT - 6)).toFixed(1);
  const path = values.map(([at, value], place) => `${place ? "L" : "M"}${x(at)} ${y(value)}`).join("");
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    values.length > 1 && svg("path", { d: `${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`, class: "area" }),
    svg("path", { d: values.length > 1 ? path : `M0 ${y(values[0]?.[1] ?? 0)}H${WIDTH}`, class: "stroke" }),
  );
}
