// The stream, drawn: services as boxes, topics as pills, and on every line dots that move as fast as its messages do.

import { columns, h, render, sized, svg } from "./dom.js";
import { brisk, count, many, span } from "./format.js";
import { rounded, route, TALL, WIDE } from "./layout.js";

const FASTEST = 60; // messages a minute at which dots move at full speed, unless another topic has more
const still = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = matchMedia("(max-width: 760px)");

/** Draws into `place` what /topics says. Returns {show(figures), close()}. */
export function drawing(place, topics) {
  let parts;
  let figures = null;
  const draw = () => {
    parts = build(narrow.matches ? TALL : WIDE, topics);
    place.replaceChildren(parts.picture);
    if (figures) show(figures);
  };
  const show = (now) => {
    figures = now;
    update(parts, topics, now);
  };
  narrow.addEventListener("change", draw);
  still.addEventListener("change", draw);
  draw();
  return {
    show,
    close() {
      narrow.removeEventListener("change", draw);
      still.removeEventListener("change", draw);
    },
  };
}

function build(layout, topics) {
  const away = ({ topic }) => (LANES[topic] === "away" ? 0 : 1); // lines of what is given up lie below the others
  const drawn = topics.filter(({ topic }) => layout.topics[topic]).sort((one, other) => away(one) - away(other));
  const lines = drawn.flatMap((topic) => [
    ...topic.written_by
      .filter((name) => layout.services[name])
      .map((from) => line(layout, topic, from, topic.topic, from)),
    ...topic.read_by.filter((name) => layout.services[name]).map((to) => line(layout, topic, topic.topic, to, null)),
  ]);
  const pills = Object.fromEntries(drawn.map((topic) => [topic.topic, pill(layout, topic)]));
  const boxes = Object.fromEntries(Object.keys(layout.services).map((name) => [name, box(layout, name, topics)]));
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${layout.width} ${layout.height}`,
      class: `drawing ${layout.name}`,
      role: "group",
      "aria-label": "The stream",
    },
    svg(
      "g",
      { class: "lines", "aria-hidden": "true" },
      lines.map(({ node }) => node),
    ),
    Object.values(boxes).map(({ node }) => node),
    Object.values(pills).map(({ node }) => node),
  );
  return { picture, lines, pills, boxes };
}

const LANES = {
  "case-medium": "again",
  "case-difficult": "again",
  "case-accepted": "done",
  "record-completed": "done",
  "case-rejected": "away",
  "question-refused": "away",
};

function line(layout, topic, from, to, writer) {
  const points = route(layout, from, to);
  const path = rounded(points);
  const again = from === "refiner" ? "again" : (LANES[topic.topic] ?? "way");
  const dots = svg("path", { d: path, class: "dots" });
  const node = svg("g", { class: `line ${again}` }, svg("path", { d: path, class: "rail" }), dots, arrow(points));
  const flow = still.matches
    ? null
    : dots.animate([{ strokeDashoffset: 14 }, { strokeDashoffset: 0 }], { duration: 230, iterations: Infinity });
  flow?.pause();
  return { node, dots, flow, topic, writer };
}

function arrow(points) {
  const [[ax, ay], [bx, by]] = points.slice(-2);
  const turn = (Math.atan2(by - ay, bx - ax) * 180) / Math.PI;
  return svg("path", { d: "M-7-4L0 0L-7 4", class: "arrow", transform: `translate(${bx} ${by}) rotate(${turn})` });
}

function pill(layout, { topic, description, group, read_by }) {
  const { x, y, w, h: height } = layout.topics[topic];
  const wide = layout.name === "wide";
  const text = (cls, dy, at, anchor) => svg("text", { x: x + at, y: y + dy, class: cls, "text-anchor": anchor });
  const [inset, last] = [layout.inset, wide ? 35 : 51];
  const name = text("name", 18, inset);
  name.textContent = topic;
  const rate = text("rate", 35, inset);
  const standing = text("standing", last, wide ? w - inset : inset, wide ? "end" : null);
  const fill = svg("rect", { x: x + inset, y: y + height - 5, width: 0, height: 2, rx: 1, class: "fill" });
  const node = svg(
    "a",
    { href: `#/cases?topic=${topic}`, class: `topic ${LANES[topic] ?? "way"}`, "data-topic": topic },
    svg("rect", { x, y, width: w, height, rx: 9, class: "shape" }),
    fill,
    name,
    rate,
    standing,
    svg("title", {}, description),
  );
  const readers = group ? [group] : read_by.filter((name) => layout.services[name]);
  return { node, rate, standing, fill, width: w - 2 * inset, readers };
}

function box(layout, name, topics) {
  const { x, y, w, h: height } = layout.services[name];
  const groups = topics.filter(({ read_by }) => read_by.includes(name)).map(({ group }) => group ?? name);
  const middle = { x: x + w / 2, "text-anchor": "middle" };
  const title = svg("text", { ...middle, y: y + height / 2 + 5, class: "name" });
  title.textContent = name;
  const calls = svg("text", { ...middle, y: y + height / 2 + 15, class: "calls" });
  const dead = svg("text", { x: x + w - 4, y: y - 5, "text-anchor": "end", class: "dead" });
  const shape = svg("rect", { x, y, width: w, height, rx: 6, class: "shape" });
  const node = svg("g", { class: "service", "data-service": name }, shape, title, calls, dead, svg("title", {}, name));
  return { node, title, calls, dead, groups: new Set(groups), outside: name === "gateway" || name === "command-line" };
}

function update({ lines, pills, boxes }, topics, figures) {
  const by = Object.fromEntries(figures.topics.map((each) => [each.topic, each]));
  const rate = (topic) => by[topic]?.per_minute ?? 0;
  const top = Math.max(FASTEST, ...figures.topics.map((each) => each.per_minute));
  const most = Math.max(1, ...figures.topics.map((each) => each.open));
  for (const each of lines) flowing(each, lineRate(each, topics, rate) / top);
  for (const [name, parts] of Object.entries(pills)) showTopic(parts, name, by[name], most);
  for (const [name, parts] of Object.entries(boxes)) showService(parts, name, figures);
}

// Where several services write a topic, each writes no more than it reads; the gateway reads nothing.
function lineRate({ topic, writer }, topics, rate) {
  const all = rate(topic.topic);
  const reads = topics.filter(({ read_by, compacted }) => !compacted && read_by.includes(writer));
  if (writer === null || topic.written_by.length === 1 || !reads.length) return all;
  return Math.min(
    all,
    reads.reduce((sum, each) => sum + rate(each.topic), 0),
  );
}

function flowing({ dots, flow }, share) {
  dots.classList.toggle("flows", share > 0);
  if (!flow) return;
  if (share > 0) {
    flow.updatePlaybackRate(Math.max(0.03, share));
    flow.play();
  } else flow.pause();
}

function showTopic(parts, name, figures, most) {
  const { per_minute = 0, open = 0, lag = {}, oldest_s = null, ended = 0 } = figures ?? {};
  const behind = parts.readers.filter((group) => group in lag).map((group) => lag[group]);
  parts.rate.textContent = `${brisk(per_minute)}/min`;
  const state = open || !ended ? `${brisk(open)} open` : `${brisk(ended)} ended`;
  parts.standing.textContent = behind.length ? `${state} · lag ${brisk(Math.max(...behind))}` : state;
  parts.fill.setAttribute("width", (parts.width * open) / most);
  const oldest = oldest_s === null ? "" : `, the oldest for ${span(oldest_s)}`;
  const readers = Object.entries(lag).map(([group, n]) => `; lag of ${group} ${count(n)}`);
  const stand = `${many(open, "case")} open${oldest}${readers.join("")}`;
  const said = `${name}: ${many(per_minute, "message")} a minute, ${stand}`;
  parts.node.setAttribute("aria-label", `${said}. Show its cases`);
}

function showService(parts, name, figures) {
  const calls = figures.calls_under_way[name] ?? 0;
  const why = Object.entries(figures.circuits).find(([group]) => group === name || parts.groups.has(group));
  const dead = figures.dead_letters[`${name}-dead`] ?? 0;
  parts.calls.textContent = why ? "circuit open" : calls ? many(calls, "call") : "";
  parts.node.classList.toggle("labelled", Boolean(parts.calls.textContent));
  parts.dead.textContent = dead ? `${count(dead)} dead` : "";
  parts.node.classList.toggle("broken", Boolean(why));
  parts.node.classList.toggle("busy", calls > 0);
  parts.node.querySelector("title").textContent = why
    ? `${name}: circuit ${why[0]} is open: ${why[1]}`
    : `${name}${parts.outside ? "" : `: ${many(calls, "call")} in flight`}`;
}

/** What the drawing has no place for: dead letters, what lies beside the way, and topics that it doesn't know. */
export function beside(place, topics, figures) {
  const by = Object.fromEntries((figures?.topics ?? []).map((each) => [each.topic, each]));
  const rest = topics.filter(({ topic, message }) => !WIDE.topics[topic] && message !== "dead_letter");
  render(
    place,
    rest.map(({ topic, description, written_by, read_by }) =>
      h(
        "li",
        { "data-key": topic, "data-topic": topic, title: description },
        h("b", {}, topic),
        h("span", {}, `${written_by.join(", ")} → ${read_by.join(", ")}`),
        by[topic] && h("span", {}, `${count(by[topic].per_minute)}/min, ${count(by[topic].open)} open`),
      ),
    ),
  );
}

/** The same as the drawing, in rows: for those who read with their ears, and for all who want every figure. */
export function table(topics, figures) {
  const by = Object.fromEntries(figures.topics.map((each) => [each.topic, each]));
  const lags = (lag) =>
    Object.entries(lag ?? {})
      .map(([group, n]) => `${group} ${count(n)}`)
      .join(", ");
  const most = Math.max(1, ...figures.topics.map((each) => each.per_minute));
  const row = ({ topic }) => {
    const each = by[topic];
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, topic),
      h(
        "td",
        {},
        each && sized(h("span", { class: "bar" }), "--share", each.per_minute / most),
        count(each?.per_minute ?? 0),
      ),
      h("td", {}, count(each?.open ?? 0)),
      h("td", {}, each?.oldest_s == null ? "" : span(each.oldest_s)),
      h("td", {}, count(each?.ended ?? 0)),
      h("td", {}, count(each?.seen ?? 0)),
      h("td", { class: "text" }, lags(each?.lag)),
    );
  };
  const heads = ["topic", "messages/min", "open", "oldest", "ended", "seen", "lag by group"];
  return h(
    "table",
    { class: "figures" },
    columns(heads, ["lag by group"]),
    h("tbody", {}, topics.filter(({ topic }) => by[topic]).map(row)),
  );
}
