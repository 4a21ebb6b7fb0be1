// One case: its question, its way, its paths side by side, what refinement changed, its records.

import { follow, get, Trouble } from "./api.js";
import { callSection } from "./calls.js";
import { standing, trouble } from "./cases.js";
import { columns, h, render } from "./dom.js";
import { brief, count, many, moment, percent, span, usd } from "./format.js";
import { folded, pathSections } from "./paths.js";

const AGAIN_MS = 3_000;

/** Shows it in `main`, live until it has ended; returns {changed, asked, close}. */
export function caseView(main, id, parameters) {
  const stop = new AbortController();
  let seen = null; // its status
  let story = null;
  let failed = null;
  let wanted = 0; // of reads of the story: the latest counts
  const calls = kept((workId) => callSection(id, workId));

  function show() {
    const trail = h("p", { class: "trail" }, h("a", { href: "#/cases" }, "Cases"), " / ", h("code", {}, id));
    if (!seen) return render(main, trail, failed ? trouble(failed) : h("p", { class: "empty" }, "Loading …"));
    const work = seen.works.find(({ work_id }) => work_id === parameters.get("work")) ?? seen.works[0];
    const messages = story?.stories.find(({ work_id }) => work_id === work.work_id);
    render(
      main,
      trail,
      head(seen, work, messages),
      tabs(seen, work),
      messages && question(messages),
      refusal(messages),
      way(work),
      failed && h("p", { class: "note" }, failed.message),
      messages?.note && h("p", { class: "note" }, messages.note),
      messages ? pathSections(messages.case) : !failed && h("p", { class: "empty" }, "Loading its messages …"),
      messages && records(messages.records),
      calls.get(work),
    );
  }

  async function read() {
    const number = ++wanted;
    try {
      const found = await get(`cases/${encodeURIComponent(id)}/story`, stop.signal);
      if (number === wanted) [story, failed] = [found, null];
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Trouble)) throw error;
      failed = error;
      if (error.status === 503) setTimeout(() => stop.signal.aborted || read(), AGAIN_MS); // busy, or Kafka is away
    }
    show();
  }

  async function first() {
    try {
      seen = await get(`cases/${encodeURIComponent(id)}`, stop.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Trouble)) throw error;
      failed = error.status === 422 ? new Trouble(404, "A case id is case- and 32 hexadecimal digits.") : error;
      if (error.status === 422) return show();
    }
    show();
    if (seen) read();
    const leave = follow(`cases/${encodeURIComponent(id)}/events`, {
      event(name, data) {
        if (name !== "standing" || JSON.stringify(data.works) === JSON.stringify(seen?.works)) return;
        [seen, failed] = [data, null];
        show();
        read();
      },
    });
    stop.signal.addEventListener("abort", leave);
    if (stop.signal.aborted) leave();
  }

  main.replaceChildren();
  show();
  first();
  return {
    changed() {},
    asked(now) {
      parameters = now;
      show();
    },
    close: () => stop.abort(),
  };
}

/** One element for each work, made once: it keeps what was folded out and loaded. */
function kept(make) {
  const made = new Map();
  return {
    get({ work_id }) {
      if (work_id && !made.has(work_id)) made.set(work_id, make(work_id));
      return made.get(work_id);
    },
  };
}

const askedOf = (messages) => (messages?.case ?? messages?.refused ?? messages?.records[0])?.question;

function head(seen, work, messages) {
  const stem = askedOf(messages)?.question ?? (seen.title ? `${seen.title} …` : brief(seen.case_id));
  const facts = [
    work.difficulty && h("span", { class: `difficulty ${work.difficulty}` }, work.difficulty),
    h("span", {}, work.end ? `${work.topic}` : `in ${work.topic}`),
    work.records > 0 && h("span", {}, many(work.records, "record")),
    work.life > 0 && h("span", {}, `life ${work.life + 1}`),
    [seen.source, seen.subject].filter(Boolean).map((each) => h("span", {}, each)),
    work.recipe_id && h("span", {}, "recipe ", h("code", { title: work.recipe_id }, brief(work.recipe_id))),
  ];
  return h(
    "header",
    { class: "case" },
    h("p", { class: "facts" }, standing(work), facts),
    h("h1", {}, stem),
    work.why && !messages?.refused && h("p", { class: `why ${work.end ?? ""}` }, work.why),
    work.end === "dead" && letter(work.way.at(-1)),
  );
}

const letter = ({ topic, partition, offset }) =>
  h(
    "p",
    { class: "note" },
    "The whole letter, and the remedy: ",
    h("code", {}, `reasonmed dead show ${topic.replace(/-dead$/, "")} ${partition}/${offset}`),
  );

function tabs(seen, chosen) {
  if (seen.works.length < 2) return null;
  const tab = (work) =>
    h(
      "a",
      { href: `#/cases/${seen.case_id}?work=${work.work_id}`, "aria-current": work === chosen ? "true" : "false" },
      brief(work.recipe_id),
      " ",
      standing(work),
    );
  return h(
    "nav",
    { class: "tabs", "aria-label": "Recipes of this question" },
    seen.works.map(tab),
  );
}

function question(messages) {
  const asked = askedOf(messages);
  if (!asked) return null;
  const option = ([letter, text]) =>
    h(
      "li",
      { class: letter === asked.answer ? "gold" : null },
      h("b", {}, letter),
      h("span", {}, text),
      letter === asked.answer && h("em", {}, "gold"),
    );
  return h(
    "section",
    { class: "question", "aria-label": "Question" },
    asked.context?.length > 0 &&
      h(
        "details",
        {},
        h("summary", {}, many(asked.context.length, "passage")),
        asked.context.map((text) => h("p", {}, text)),
      ),
    h("ol", { class: "options" }, Object.entries(asked.options).map(option)),
    messages.case?.gold_disputed &&
      h(
        "p",
        { class: "why rejected" },
        "Gold is disputed: every path that states an answer states the same other answer.",
      ),
  );
}

function refusal(messages) {
  if (!messages?.refused) return null;
  const { reason, match } = messages.refused;
  const same = match.where.startsWith("case-")
    ? h("a", { href: `#/cases/${match.where}` }, brief(match.where))
    : h("code", {}, match.where);
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "Not admitted"),
    h(
      "p",
      {},
      reason === "evaluation_set" ? "Too similar to a question of an evaluation set." : "Too similar to an earlier question.",
    ),
    h("blockquote", {}, match.text),
    h("p", { class: "note" }, `${percent(match.similarity, 1)} similar · `, same, ` · ${match.id}`),
  );
}

const KINDS = ["correct", "error", "unknown", "unverified"];

function way(work) {
  const step = (each, place) => {
    const before = work.way[place - 1];
    const took = before && (new Date(each.at) - new Date(before.at)) / 1000;
    const held = KINDS.flatMap((kind) => Array(Math.min(60, each.paths[kind] ?? 0)).fill(kind));
    const said = KINDS.filter((kind) => each.paths[kind])
      .map((kind) => `${each.paths[kind]} ${kind}`)
      .join(", ");
    return h(
      "li",
      { "data-key": `${each.topic} ${each.life} ${each.round} ${each.index}` },
      h("span", { class: "took" }, place ? `+${span(took)}` : moment(each.at)),
      h(
        "span",
        { class: "topic", title: `partition ${each.partition}, offset ${each.offset}, ${moment(each.at)}` },
        each.topic,
      ),
      said &&
        h(
          "span",
          { class: "beads", role: "img", "aria-label": said },
          held.map((kind) => h("i", { class: kind })),
        ),
      h(
        "small",
        {},
        [each.life > 0 && `life ${each.life + 1}`, each.round > 0 && `round ${each.round}`, said]
          .filter(Boolean)
          .join(" · "),
      ),
    );
  };
  const whole = (new Date(work.since) - new Date(work.begun)) / 1000;
  return h(
    "section",
    { class: "way" },
    h("h2", {}, "Steps"),
    h(
      "p",
      { class: "note" },
      `${many(work.way.length, "message")} in ${span(whole)}${work.end ? "" : ", still open"}`,
    ),
    h(
      "ol",
      { class: "scroll", tabindex: "0", "aria-label": "Messages of the case, in order" },
      work.way.map(step),
    ),
  );
}

function records(list) {
  if (!list.length) return null;
  return h("section", { class: "records" }, h("h2", {}, "Records"), list.map(record));
}

function record(each) {
  const cost = Object.entries(each.cost);
  const all = cost.reduce((sum, [, value]) => sum + value, 0);
  const stage = ([name, value]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", {}, usd(value)),
      h("td", {}, count(each.usage[name]?.prompt ?? 0)),
      h("td", {}, count(each.usage[name]?.completion ?? 0)),
    );
  return h(
    "article",
    { class: "record", "data-key": each.record_id },
    h("h3", {}, `Record ${each.index + 1} of ${each.of}`),
    h(
      "div",
      { class: "sides" },
      h("div", {}, h("h4", {}, "Chain of thought"), folded(each.chain)),
      h(
        "div",
        {},
        h("h4", {}, "Summary"),
        h("p", { class: "prose" }, each.summary),
        h(
          "table",
          { class: "figures" },
          columns(["stage", "USD", "tokens in", "out"]),
          h("tbody", {}, cost.map(stage)),
        ),
        h("p", { class: "note" }, `${usd(all)} in all: this record's share of the case. Tokens are those of the whole case.`),
      ),
    ),
    h(
      "dl",
      { class: "lineage" },
      [
        ["record", each.record_id],
        ["path", each.path_id],
        ["origin", each.origin],
        ["model", each.model],
        ["calls", count(each.calls.length)],
        ["recipe", each.recipe_id],
      ].map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
  );
}
