// The first page: the whole stream at a glance.

import { h, render } from "./dom.js";
import { beside, drawing, table } from "./drawing.js";
import { historyPanel } from "./history.js";
import * as panels from "./panels.js";
import { state } from "./state.js";

/** Shows it in `main`; returns {changed, close}. */
export function streamView(main) {
  const picture = h("div", { class: "picture" });
  const rest = h("ul", { class: "beside" });
  const rows = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Topics" });
  const totals = h("dl", { class: "totals" });
  const past = h("div", { class: "past" });
  const [left, right] = [h("div", { class: "column" }), h("div", { class: "column" })];
  const empty = h("div", { class: "empty", hidden: true });
  const live = h(
    "div",
    { class: "live" },
    totals,
    h(
      "section",
      { class: "stage" },
      h("h2", { class: "hidden" }, "The stream"),
      picture,
      legend(),
      rest,
      h("details", { class: "rows" }, h("summary", {}, "The same as a table"), rows),
    ),
    h(
      "section",
      { class: "panel wide" },
      h("h2", {}, "Over time"),
      past,
    ),
    h("div", { class: "columns" }, left, right),
  );
  main.replaceChildren(h("h1", { class: "hidden" }, "The stream"), empty, live);

  let drawn = null;
  const changed = () => {
    const { figures, topics, trouble } = state;
    const ready = Boolean(figures && topics);
    empty.hidden = ready;
    live.hidden = !ready;
    if (!ready) return render(empty, waiting(trouble));
    drawn ??= drawing(picture, topics);
    drawn.show(figures);
    beside(rest, topics, figures);
    render(rows, table(topics, figures));
    render(totals, panels.totals(figures));
    render(left, nothingYet(figures), panels.recordCost(figures), panels.spending(figures));
    render(right, panels.routes(figures), panels.savings(figures), panels.troubles(figures));
  };
  changed();
  const history = historyPanel(past);
  return {
    changed,
    close() {
      drawn?.close();
      history.close();
    },
  };
}

const waiting = (trouble) =>
  trouble
    ? [h("h2", {}, "No figures"), h("p", {}, trouble)]
    : [
        h("h2", {}, "Waiting for the first figures"),
        h(
          "p",
          {},
          "The monitor publishes them every second. If none come, start it:",
        ),
        h("code", {}, "python -m services.monitor"),
      ];

function nothingYet(figures) {
  const seen = figures.topics.some((topic) => topic.seen);
  return (
    !seen &&
    h(
      "section",
      { class: "panel" },
      h("h2", {}, "No questions yet"),
      h("p", { class: "note" }, "Submit questions over HTTP, or with:"),
      h("code", {}, "reasonmed submit questions.jsonl"),
    )
  );
}

const legend = () =>
  h(
    "p",
    { class: "key" },
    h("span", { class: "way" }, "cases"),
    h("span", { class: "again" }, "refinement"),
    h("span", { class: "done" }, "accepted"),
    h("span", { class: "away" }, "rejected or dead"),
    h(
      "span",
      { class: "plain" },
      "Dots move in proportion to messages per minute. The line in a topic is its share of the open cases.",
    ),
  );
