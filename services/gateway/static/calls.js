// The model calls that a case rests on: a table, and one call whole, each asked for when it is folded out.

import { get, Trouble } from "./api.js";
import { columns, h, render } from "./dom.js";
import { count, many, moment, usd } from "./format.js";

/** A folded section with the calls of this work; asked for when it is opened. */
export function callSection(caseId, workId) {
  const body = h("div", {});
  let asked = false;
  const toggle = ({ currentTarget }) => {
    if (!currentTarget.open || asked) return;
    asked = true;
    const found = (all) => list(all.works.find(({ work_id }) => work_id === workId)?.calls ?? []);
    show(body, `cases/${encodeURIComponent(caseId)}/calls`, found).then((done) => (asked = done));
  };
  return h(
    "details",
    { class: "calls", "data-key": `calls ${workId}`, on: { toggle } },
    h("summary", {}, "Model calls"),
    h("p", { class: "note" }, "Each with its prompt as it was sent, its reply and its thinking."),
    body,
  );
}

/** Fills `place` with what an answer becomes; whether it was had. */
async function show(place, path, become) {
  render(place, h("p", { class: "note" }, "Loading …"));
  try {
    render(place, become(await get(path)));
    return true;
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    render(place, h("p", { class: "note" }, error.message));
    return false;
  }
}

const HEADS = ["stage", "path", "model", "end", "tokens in", "out", "USD", "sends", "ask"];

function list(calls) {
  if (!calls.length)
    return h("p", { class: "nothing" }, "None: no call was made yet, or Kafka no longer has the case's messages.");
  const whole = h("div", { class: "whole" });
  const pick = async ({ call_id }) => {
    await show(whole, `calls/${encodeURIComponent(call_id)}`, one);
    whole.scrollIntoView({ block: "nearest" });
  };
  const row = (call) => {
    const numbers = [count(call.tokens_in), count(call.tokens_out), usd(call.usd), call.sends ?? "–", call.ask];
    const texts = [call.path || (call.stage === "summarize" ? "summary" : "–"), call.alias, call.outcome === "reply" ? call.finish_reason : call.outcome];
    return h(
      "tr",
      { "data-call": call.call_id },
      h(
        "th",
        { scope: "row" },
        h("button", { type: "button", class: "plain", on: { click: () => pick(call) } }, call.stage),
      ),
      texts.map((text) => h("td", { class: "text" }, text)),
      numbers.map((number) => h("td", {}, number)),
    );
  };
  const sum = calls.reduce((all, call) => all + call.usd, 0);
  return [
    h("p", { class: "note" }, `${many(calls.length, "call")}, ${usd(sum)}. Choose a stage to read its call.`),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Model calls" },
      h("table", { class: "figures" }, columns(HEADS, HEADS.slice(1, 4)), h("tbody", {}, calls.map(row))),
    ),
    whole,
  ];
}

function one(call) {
  const facts = [
    call.call_id,
    call.model,
    `seed ${call.seed}`,
    `temperature ${call.temperature}`,
    call.at && moment(call.at),
    call.problem,
  ];
  const text = (name, value) => value && [h("h4", {}, name), h("p", { class: "prose" }, value)];
  return h(
    "article",
    { class: "record", "data-key": call.call_id },
    h("h3", {}, `${call.stage} ${call.path}`),
    h(
      "p",
      { class: "facts" },
      facts.filter(Boolean).map((fact) => h("span", {}, fact)),
    ),
    text("System", call.system),
    text("Prompt", call.prompt),
    text("Thinking", call.thinking),
    text("Reply", call.reply),
  );
}
