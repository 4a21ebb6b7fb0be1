// The paths of a case: a card each, those of a round side by side; what was rewritten beside its parent.

import { wordDiff } from "./diff.js";
import { h } from "./dom.js";
import { count, many, words } from "./format.js";

const BY = {
  judge: "the judge",
  stated_answer: "the answer it states",
  cut_off: "it was cut off",
  empty: "it is empty",
  leak: "it leaks the gold answer",
  failure: "no verdict",
};

/** Sections for the plan and each round. `body` is the Case message, or null. */
export function pathSections(body) {
  if (!body) return null;
  if (!body.paths.length)
    return h(
      "section",
      {},
      h("h2", {}, "Paths"),
      h("p", { class: "nothing" }, "None yet: the generator makes them."),
    );
  const rounds = [...new Set(body.paths.map(({ round }) => round))].sort((one, other) => one - other);
  return rounds.map((round) =>
    section(
      body,
      round,
      body.paths.filter((path) => path.round === round).sort((one, other) => one.slot - other.slot),
    ),
  );
}

function section(body, round, paths) {
  const found = ["correct", "error", "unknown", "unverified"].map((kind) => [
    kind,
    paths.filter((path) => kindOf(path) === kind).length,
  ]);
  const note = found
    .filter(([, n]) => n)
    .map(([kind, n]) => `${n} ${kind}`)
    .join(", ");
  const refined = paths.filter(({ origin }) => origin === "refined");
  const rest = paths.filter(({ origin }) => origin !== "refined");
  const title = round === 0 ? "Paths" : refined.length ? `Round ${round}: rewritten` : `Round ${round}: regenerated`;
  return h(
    "section",
    { class: "round", "data-key": `round ${round}` },
    h("h2", {}, title),
    h("p", { class: "note" }, `${many(paths.length, "path")}: ${note}`),
    refined.map((path) => pair(body, path)),
    rest.length > 0 &&
      h(
        "ol",
        { class: "paths scroll", tabindex: "0", "aria-label": title },
        rest.map((path) => h("li", { "data-key": path.path_id }, card(body, path, whole(path)))),
      ),
  );
}

const whole = (path) => (path.text ? [[path.text, false]] : []);

/** As `Path.standing` of the contract has it. */
function kindOf({ failure, verdict }) {
  if (failure !== null && failure !== undefined) return "unknown";
  if (!verdict) return "unverified";
  return verdict.outcome === "unjudged" ? "unknown" : verdict.outcome;
}

function pair(body, path) {
  const parent = body.paths.find(({ path_id }) => path_id === path.parents[0]);
  if (!parent) return h("div", { class: "pair", "data-key": path.path_id }, card(body, path, whole(path)));
  const { before, after } = wordDiff(parent.text, path.text);
  const gained =
    path.score?.value != null && parent.score?.value != null ? path.score.value - parent.score.value : null;
  const kept = body.kept.includes(path.path_id)
    ? "the rewritten one is kept"
    : body.kept.includes(parent.path_id)
      ? "its parent is kept"
      : "";
  const score = gained === null ? "" : gained > 0 ? `${gained} better` : gained < 0 ? `${-gained} worse` : "as good";
  return h(
    "div",
    { class: "pair", "data-key": path.path_id },
    h(
      "p",
      { class: "note" },
      [score, kept].filter(Boolean).join("; "),
      " ",
      h("span", { class: "swatch" }, h("del", {}, "removed"), " ", h("ins", {}, "added")),
    ),
    h("div", { class: "sides" }, card(body, parent, before, "del"), card(body, path, after, "ins")),
  );
}

function card(body, path, pieces, changed) {
  const kind = kindOf(path);
  const kept = body.kept.includes(path.path_id);
  return h(
    "article",
    { class: `path ${kind}${kept ? " kept" : ""}`, "data-path": path.path_id, "data-kind": kind },
    h(
      "header",
      {},
      h("h3", {}, `${origin(path)} ${path.slot + 1}`, h("small", {}, `${path.alias} at ${path.temperature}`)),
      h(
        "p",
        {},
        h("span", { class: `mark ${kind}` }, kind),
        kept && h("span", { class: "mark keeps" }, "kept"),
        score(path),
      ),
    ),
    path.failure && h("p", { class: "reason" }, h("b", {}, "Its call failed. "), path.failure),
    path.verdict &&
      h(
        "p",
        { class: "reason" },
        h("b", {}, `Decided by ${BY[path.verdict.by] ?? words(path.verdict.by)}. `),
        path.verdict.reason,
        overruled(path),
      ),
    stepsInError(path),
    path.score?.justification && h("p", { class: "reason" }, h("b", {}, "Score. "), path.score.justification),
    text(changed ? pieces : marked(path) ?? pieces, changed),
    h("footer", {}, facts(path)),
  );
}

function stepsInError({ verdict }) {
  const errors = verdict?.steps?.errors ?? [];
  const item = ({ step, kind, severity, reason }) =>
    h("li", { class: "reason" }, h("b", {}, `Step ${step}: ${words(kind)} (${severity}). `), reason);
  return errors.length > 0 && h("ul", { class: "steps", "aria-label": "Steps in error" }, errors.map(item));
}

/** The text's steps as [text, in error], or null where the verdict names none. Steps end at Unicode characters. */
function marked({ text, verdict }) {
  if (!verdict?.steps?.errors.length) return null;
  const characters = [...text];
  const wrong = new Set(verdict.steps.errors.map(({ step }) => step));
  const { ends } = verdict.steps;
  return ends.map((end, place) => [characters.slice(place ? ends[place - 1] : 0, end).join(""), wrong.has(place + 1)]);
}

const origin = ({ origin: how }) => (how === "generated" ? "Path" : how === "refined" ? "Rewritten" : "Regenerated");

function score({ score: given }) {
  if (!given) return null;
  if (given.value === null) return h("span", { class: "score" }, "no score");
  const dots = [1, 2, 3, 4, 5].map((place) => h("i", { class: place <= given.value ? "on" : null }));
  return h(
    "span",
    { class: "score", role: "img", "aria-label": `score ${given.value} of 5` },
    dots,
    h("b", { "aria-hidden": "true" }, `${given.value}/5`),
  );
}

function overruled({ verdict }) {
  const said = verdict.judged && verdict.judged !== verdict.outcome && verdict.by !== "judge";
  return said && h("em", {}, ` The judge's verdict was ${verdict.judged}.`);
}

const LONG = 900; // characters that are shown before it is folded out

/** A text that may be long; `content` is how the whole is shown. */
export function folded(text, content = text) {
  if (text.length <= LONG) return h("p", { class: "prose" }, content);
  const beginning = h("span", { class: "prose" }, `${text.slice(0, LONG).replace(/\s+\S*$/, "")} …`);
  return h("details", { class: "long" }, h("summary", {}, beginning), h("p", { class: "prose" }, content));
}

function text(pieces, changed) {
  if (!pieces.length) return h("p", { class: "nothing" }, "No text.");
  const content = pieces.map(([part, differs]) => (differs ? h(changed ?? "mark", {}, part) : part));
  return changed ? h("p", { class: "prose" }, content) : folded(pieces.map(([part]) => part).join(""), content);
}

function facts(path) {
  const sum = (of) => path.calls.reduce((all, { usage }) => all + of(usage), 0);
  const parts = [
    many(path.calls.length, "call"),
    `${count(sum(({ prompt }) => prompt))} tokens in`,
    `${count(sum(({ completion }) => completion))} out`,
  ];
  if (path.verdict?.stated) parts.unshift(`states ${path.verdict.stated}`);
  if (path.finish_reason === "length") parts.unshift("cut off");
  return parts.join(" · ");
}
