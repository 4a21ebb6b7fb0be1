// The second page: cases, those that changed last first, by how they ended, how hard they are, where they stand.

import { get, Trouble } from "./api.js";
import { h, render } from "./dom.js";
import { ago, brief, many, moment, words } from "./format.js";
import { state } from "./state.js";

const FEW = 50;
const MANY = 500;
const AGAIN_MS = 2_000; // between two looks while figures change

const NAMES = ["text", "end", "difficulty", "topic", "source", "subject", "recipe", "score"];
const CHOICES = {
  end: ["open", "accepted", "rejected", "dead", "refused"],
  difficulty: ["easy", "medium", "difficult"],
};

/** The state of a work, in a word and a colour. */
export const standing = ({ end }) => h("span", { class: `mark ${end ?? "open"}` }, end ?? "open");

/** Shows them in `main`; returns {changed, asked, close}. */
export function casesView(main, parameters) {
  const stop = new AbortController();
  const rows = h("div", { class: "cases" });
  const filters = h("form", { class: "filters", role: "search", on: { submit: find, change: choose } });
  main.replaceChildren(h("h1", {}, "Cases"), filters, rows);
  let last = 0;
  let looking = false;
  let found = null;

  function find(event) {
    event.preventDefault();
    const id = filters.elements.id.value.trim();
    if (id) location.hash = `#/cases/${encodeURIComponent(id)}`;
    else choose();
  }

  function choose() {
    const chosen = new URLSearchParams();
    for (const name of NAMES) {
      const value = filters.elements[name].value.trim();
      if (value) chosen.set(name, value);
    }
    location.hash = chosen.size ? `#/cases?${chosen}` : "#/cases";
  }

  async function look() {
    if (looking) return;
    [looking, last] = [true, Date.now()];
    const asked = parameters;
    try {
      found = (await get(`cases?${withLimit(asked)}`, stop.signal)).cases;
      if (asked === parameters) render(rows, list(found, asked));
    } catch (error) {
      if (error instanceof Trouble) render(rows, trouble(error));
      else if (error.name !== "AbortError") throw error;
    } finally {
      looking = false;
    }
    if (asked !== parameters) await look();
  }

  function asked(now) {
    parameters = now;
    render(filters, fields(parameters, found));
    for (const name of NAMES)
      filters.elements[name].value = parameters.get(name) ?? "";
    look();
  }

  asked(parameters);
  return {
    asked,
    changed() {
      if (Date.now() - last > AGAIN_MS && !document.hidden) look();
      if (state.topics && filters.elements.topic.options.length === 1) asked(parameters);
    },
    close: () => stop.abort(),
  };
}

function withLimit(parameters) {
  const wanted = new URLSearchParams(parameters);
  wanted.set("limit", parameters.get("limit") ?? FEW);
  return wanted;
}

function fields(parameters, found) {
  const select = (name, label, values) =>
    h(
      "label",
      {},
      h("span", {}, label),
      h(
        "select",
        { name },
        h("option", { value: "" }, "any"),
        values.map((value) => h("option", { value }, value)),
      ),
    );
  const input = (name, label, placeholder) =>
    h("label", {}, h("span", {}, label), h("input", { name, placeholder, autocomplete: "off" }));
  const sources = [...new Set((found ?? []).map(({ source }) => source).filter(Boolean))].sort();
  return [
    input("text", "question", "beginning of its text"),
    select("end", "end", CHOICES.end),
    select("difficulty", "difficulty", CHOICES.difficulty),
    select(
      "topic",
      "topic",
      (state.topics ?? []).filter(({ compacted }) => !compacted).map(({ topic }) => topic),
    ),
    h(
      "label",
      {},
      h("span", {}, "source"),
      h("input", { name: "source", list: "sources", placeholder: "any", autocomplete: "off" }),
    ),
    input("subject", "subject", "any"),
    input("recipe", "recipe", "id or name"),
    select("score", "score from", ["1", "2", "3", "4", "5"]),
    h(
      "datalist",
      { id: "sources" },
      sources.map((value) => h("option", { value })),
    ),
    h(
      "label",
      { class: "id" },
      h("span", {}, "case id"),
      h("input", { name: "id", type: "search", placeholder: "case-…", spellcheck: "false", autocomplete: "off" }),
    ),
    h("button", { type: "submit" }, "Show"),
    h("a", { class: "quiet", href: "#/cases", hidden: ![...parameters.keys()].length }, "clear"),
  ];
}

function list(cases, parameters) {
  if (!cases.length)
    return [...parameters.keys()].length
      ? h("p", { class: "empty" }, "No case matches. ", h("a", { href: "#/cases" }, "Show all"))
      : h(
          "div",
          { class: "empty" },
          h("h2", {}, "No case yet"),
          h("p", {}, "Submit questions over HTTP, or with:"),
          h("code", {}, "reasonmed submit questions.jsonl"),
        );
  const more = new URLSearchParams(parameters);
  more.set("limit", MANY);
  const whole = cases.length >= (Number(parameters.get("limit")) || FEW);
  return [
    h("ol", { class: "list", "aria-label": "Cases, last changed first" }, cases.map(item)),
    h(
      "p",
      { class: "note" },
      `${many(cases.length, "case")}, last changed first. `,
      whole && !parameters.get("limit") && h("a", { href: `#/cases?${more}` }, "Show more"),
    ),
  ];
}

function item(work) {
  return h(
    "li",
    { "data-key": `${work.case_id} ${work.work_id}`, "data-case": work.case_id },
    h(
      "a",
      { href: link(work) },
      h("span", { class: "title" }, work.title || brief(work.case_id)),
      standing(work),
      h("span", { class: `difficulty ${work.difficulty ?? ""}` }, work.difficulty ?? ""),
      h(
        "span",
        { class: "where" },
        work.end ? said(work) : `in ${work.topic}${work.round ? `, round ${work.round}` : ""}`,
      ),
      h("span", { class: "from" }, [work.source, work.subject].filter(Boolean).join(" · ")),
      h("time", { datetime: work.since, title: moment(work.since) }, ago(work.since)),
    ),
  );
}

const link = ({ case_id, work_id }) => `#/cases/${case_id}${work_id ? `?work=${work_id}` : ""}`;

function said({ end, records, why }) {
  if (end === "accepted") return many(records, "record");
  return end === "refused" ? words(why.split(":")[0]) : why; // a refusal also names the similar question
}

/** Why something can't be shown. */
export const trouble = (error) =>
  h(
    "div",
    { class: "empty" },
    h("h2", {}, error.status === 404 ? "Not found" : "Not available"),
    h("p", {}, error.message),
  );
