// The page: which view the address names, how fresh the figures are, and the key where one is asked for.

import { prompt } from "./api.js";
import { casesView } from "./cases.js";
import { caseView } from "./case.js";
import { span } from "./format.js";
import { health } from "./health.js";
import { age, begin, state, subscribe, warning } from "./state.js";
import { streamView } from "./streamview.js";

const main = document.getElementById("main");
let view = null;
let shown = "";

/** #/cases?end=dead → the view, and what it is asked for. The same view receives new parameters, and stays. */
function go() {
  const [, path = "/", query = ""] = /^#([^?]*)\??(.*)$/.exec(location.hash) ?? [];
  const parameters = new URLSearchParams(query);
  const [page, id] = path.split("/").slice(1);
  const name = page === "cases" ? (id ? `case ${id}` : "cases") : "stream";
  if (name === shown && view?.asked) return view.asked(parameters);
  if (name === shown) return;
  view?.close();
  if (shown) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  shown = name;
  if (name === "stream") view = streamView(main);
  else view = id ? caseView(main, id, parameters) : casesView(main, parameters);
  document.title = `ReasonMed · ${id ? "case" : name}`;
  for (const link of document.querySelectorAll("nav a"))
    link.setAttribute("aria-current", link.dataset.page === (page === "cases" ? "cases" : "stream") ? "page" : "false");
}

function freshness() {
  const link = document.getElementById("link");
  const old = age();
  const [word, kind] =
    state.link !== "live"
      ? [state.link === "broken" ? "disconnected" : "connecting", state.link]
      : old === null
        ? ["connected", "live"]
        : old < 3
          ? ["live", "live"]
          : [`${span(old)} old`, old > 10 ? "old" : "live"];
  if (link.textContent !== word) link.textContent = word;
  link.dataset.kind = kind;
  const banner = document.getElementById("banner");
  const text = warning();
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
}

prompt.ask = (wrong) =>
  new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const form = dialog.querySelector("form");
    document.getElementById("key-wrong").hidden = !wrong;
    dialog.oncancel = (event) => event.preventDefault(); // there is nothing to see without
    form.onsubmit = (event) => {
      event.preventDefault();
      dialog.close();
      resolve(form.elements.key.value.trim());
      form.reset();
    };
    dialog.showModal();
  });

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is the view's
  main.focus();
});
addEventListener("hashchange", go);
subscribe(() => {
  freshness();
  health(document.getElementById("health"), state.figures);
  view?.changed();
});
setInterval(freshness, 1_000);
begin();
go();
freshness();
