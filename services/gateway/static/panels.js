// The figures beside the drawing. Each panel is a function of the figures, and says what to do where there are none.

import { columns, h, sized } from "./dom.js";
import { count, many, percent, span, usd, words } from "./format.js";

const ROUTES = ["easy", "medium", "difficult"];
const sum = (list, of) => list.reduce((all, each) => all + of(each), 0);

const panel = (title, note, ...content) =>
  h(
    "section",
    { class: "panel", "data-panel": title },
    h("h2", {}, title),
    note && h("p", { class: "note" }, note),
    content,
  );

const nothing = (...text) => h("p", { class: "nothing" }, text);

/** The few numbers that say how it goes. */
export function totals(figures) {
  const { ends, budget } = figures;
  const spent = sum(figures.spent, ({ usd }) => usd);
  const records = sum(figures.records, (each) => each.records);
  const oldest = Math.max(-1, ...figures.topics.map(({ oldest_s }) => oldest_s ?? -1));
  const paid = sum(figures.records, (each) => each.usd);
  const cost = !records ? "no record yet" : paid ? `${usd(paid / records)} per record` : "the recipe has no prices";
  const under = Object.values(figures.calls_under_way).reduce((all, calls) => all + calls, 0);
  const all = Object.values(ends).reduce((one, other) => one + other, 0);
  const end = (kind) => [kind, count(ends[kind]), all ? `${percent(ends[kind], all)} of all ends` : "none yet"];
  const items = [
    ["open", count(figures.open), oldest < 0 ? "none" : `oldest for ${span(oldest)}`],
    end("accepted"),
    end("rejected"),
    end("dead"),
    end("refused"),
    ["records", count(records), cost],
    ["spent", usd(spent), budget ? left(budget, spent) : "no budget set"],
    ["tokens per second", count(figures.tokens_per_s), `${many(under, "call")} in flight`],
  ];
  return items.map(([name, value, note]) =>
    h(
      "div",
      { class: `total ${name.replaceAll(" ", "-")}`, "data-total": name },
      h("dt", {}, name),
      h("dd", {}, name in ends || name === "open" ? h("a", { href: `#/cases?end=${name}` }, value) : value),
      h("dd", { class: "note" }, note),
    ),
  );
}

function left(budget, spent) {
  const rest = budget.usd - spent - budget.reserved_usd;
  return budget.stopped
    ? h("strong", { class: "bad" }, "budget reached: questions wait")
    : `${usd(Math.max(0, rest))} left of ${usd(budget.usd)}`;
}

/** How cases part. */
export function routes(figures) {
  const all = sum(ROUTES, (route) => figures.routes[route] ?? 0);
  if (!all)
    return panel("Routes", null, nothing("No case has been verified yet. A verified case is easy, medium or difficult."));
  const parts = ROUTES.map((route) => ({ route, n: figures.routes[route] ?? 0 }));
  return panel(
    "Routes",
    "by how many of a case's paths are correct",
    h(
      "div",
      { class: "mix", "aria-hidden": "true" },
      parts.map(({ route, n }) => sized(h("span", { class: route }), "--share", n / all)),
    ),
    h(
      "ul",
      { class: "legend" },
      parts.map(({ route, n }) =>
        h(
          "li",
          { class: route },
          h("a", { href: `#/cases?difficulty=${route}` }, route),
          h("b", {}, percent(n, all)),
          h("span", {}, many(n, "case")),
        ),
      ),
    ),
  );
}

/** What a record costs, by difficulty and the model that wrote it. */
export function recordCost(figures) {
  if (!figures.records.length)
    return panel(
      "Cost per record",
      null,
      nothing("No record yet. Each has its cost, with a share of the discarded paths."),
    );
  const aliases = [...new Set(figures.records.map(({ alias }) => alias))].sort();
  const routes = ROUTES.filter((route) => figures.records.some(({ difficulty }) => difficulty === route));
  const cell = (chosen) => {
    const n = sum(chosen, ({ records }) => records);
    return h(
      "td",
      {},
      n
        ? [h("b", {}, usd(sum(chosen, (each) => each.usd) / n)), h("small", {}, many(n, "record"))]
        : h("span", { class: "none" }, "–"),
    );
  };
  const row = (name, rows) =>
    h(
      "tr",
      { class: name },
      h("th", { scope: "row" }, name),
      aliases.map((alias) => cell(rows.filter((each) => each.alias === alias))),
      cell(rows),
    );
  return panel(
    "Cost per record",
    "USD, with a share of the discarded paths; by difficulty and model",
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Cost per record" },
      h(
        "table",
        { class: "figures" },
        columns(["", ...aliases, "all"]),
        h(
          "tbody",
          {},
          routes.map((route) =>
            row(
              route,
              figures.records.filter(({ difficulty }) => difficulty === route),
            ),
          ),
          row("all", figures.records),
        ),
      ),
    ),
  );
}

/** What went where. */
export function spending(figures) {
  if (!figures.spent.length) return panel("Spent on calls", null, nothing("No call has been paid for yet."));
  const rows = [...figures.spent].sort((one, other) => other.usd - one.usd || other.tokens_out - one.tokens_out);
  const most = Math.max(1e-12, ...rows.map((row) => row.usd));
  const cells = (row) => [
    count(row.calls),
    count(row.tokens_in),
    percent(row.tokens_cached, row.tokens_in),
    count(row.tokens_out),
  ];
  return panel(
    "Spent on calls",
    "each paid call once, failed ones included",
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Spent on calls" },
      h(
        "table",
        { class: "figures" },
        columns(["model", "stage", "USD", "calls", "tokens in", "cached", "tokens out"], ["stage"]),
        h(
          "tbody",
          {},
          rows.map((row) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, row.alias),
              h("td", { class: "text" }, row.stage),
              h("td", {}, sized(h("span", { class: "bar" }), "--share", row.usd / most), usd(row.usd)),
              cells(row).map((value) => h("td", {}, value)),
            ),
          ),
        ),
      ),
    ),
  );
}

const SPARED = {
  sampling: "paths that could no longer decide",
  judging: "verdicts and scores that could not matter",
  remembered: "replies that the ledger already had",
};

/** What was not paid for, and how the judge agrees with the answers that paths state. */
export function savings(figures) {
  const panels = [];
  if (figures.spared.length) {
    const reasons = [...new Set(figures.spared.map(({ by }) => by))];
    const of = (by) => figures.spared.filter((each) => each.by === by);
    const row = (by) =>
      h(
        "tr",
        {},
        h("th", { scope: "row", title: SPARED[by] }, by),
        h("td", {}, count(sum(of(by), ({ calls }) => calls))),
        h("td", {}, usd(sum(of(by), (each) => each.usd))),
      );
    const body = h("tbody", {}, reasons.map(row));
    panels.push(panel("Not paid for", "calls spared, and about what they would have cost", table(["", "calls", "USD"], body)));
  }
  if (figures.agreement.length) {
    const row = (each) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, each.alias),
        h("td", {}, part(each.gold_in_error, each.gold)),
        h("td", {}, part(each.other_correct, each.other)),
      );
    const head = ["", "states gold, judged in error", "states another, judged correct"];
    const body = h("tbody", {}, figures.agreement.map(row));
    panels.push(panel("Judge and stated answer", "where they disagree, by the model that wrote the path", table(head, body)));
  }
  return panels;
}

const part = (n, all) => [h("b", {}, all ? percent(n, all) : "–"), h("small", {}, `${count(n)} of ${count(all)}`)];

const table = (head, body) => h("div", { class: "scroll" }, h("table", { class: "figures" }, columns(head), body));

/** What needs somebody: circuits, dead letters, refused questions. */
export function troubles(figures) {
  const open = Object.entries(figures.circuits);
  const dead = Object.entries(figures.dead_letters).filter(([, n]) => n);
  return [
    panel(
      "Circuits",
      null,
      open.length
        ? open.map(([group, why]) =>
            h(
              "div",
              { class: "circuit" },
              h("p", {}, h("b", { class: "bad" }, `${group} is stopped:`), ` ${why}`),
              h("p", { class: "note" }, "Repair the cause, then:"),
              h("code", {}, `reasonmed circuit close ${group}`),
            ),
          )
        : nothing("All closed. A burst of dead letters opens one, and stops its service."),
    ),
    panel(
      "Dead letters",
      null,
      dead.length
        ? [
            list(dead, (topic) => topic),
            h("p", { class: "note" }, "Which, why, and the remedy: "),
            h("code", {}, "reasonmed dead list"),
          ]
        : nothing("None. A message that can't be processed is kept here, with its original bytes."),
    ),
    panel(
      "Not admitted",
      "before any call was paid",
      list([...Object.entries(figures.refused), ["duplicate questions", figures.duplicates]], words),
    ),
  ];
}

const list = (pairs, named) =>
  h(
    "ul",
    { class: "pairs" },
    pairs.map(([name, n]) => h("li", {}, h("span", {}, named(name)), h("b", {}, count(n)))),
  );
