// The strip above every page: what needs somebody, why, and what to do. Hidden while there is nothing.

import { h, render } from "./dom.js";
import { words } from "./format.js";

/** Shows the problems of the figures in `strip`. */
export function health(strip, figures) {
  const problems = figures?.problems ?? [];
  strip.hidden = !problems.length;
  render(strip, problems.length > 0 && h("ul", {}, problems.map(item)));
}

const item = ({ kind, what, why, remedy }) =>
  h(
    "li",
    { "data-problem": kind, "data-key": `${kind} ${what}` },
    h("b", {}, what === kind ? what : `${words(kind)}: ${what}`),
    h("span", {}, why),
    h("span", { class: "remedy" }, coded(remedy)),
  );

/** Text between backticks is a command. */
const coded = (text) => text.split("`").map((part, place) => (place % 2 ? h("code", {}, part) : part));
