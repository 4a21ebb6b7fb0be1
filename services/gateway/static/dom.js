// Elements made by hand. Text is only ever text: nothing here takes markup, so nothing that a model or a question says
// can become any.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Attributes that are null or false are left out; `on` holds listeners, by event. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "on") listen(element, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

function listen(element, handlers) {
  element.handlers = handlers;
  for (const type of Object.keys(handlers)) element.addEventListener(type, dispatch);
}

function dispatch(event) {
  event.currentTarget.handlers[event.type]?.(event);
}

/** The head of a table; columns of words are named in `worded`. */
export const columns = (names, worded = []) =>
  h(
    "thead",
    {},
    h(
      "tr",
      {},
      names.map((name) => h("th", { scope: "col", class: worded.includes(name) && "text" }, name)),
    ),
  );

/** Makes the children of `parent` look like these, and keeps what is there already: focus, selection, scroll and what
 * was folded out survive. */
export function render(parent, ...wanted) {
  const nodes = wanted
    .flat(Infinity)
    .filter(Boolean)
    .map((node) => (node.nodeType ? node : document.createTextNode(node)));
  nodes.forEach((node, place) => {
    const there = parent.childNodes[place];
    if (!there) parent.append(node);
    else if (!alike(there, node)) there.replaceWith(node);
    else morph(there, node);
  });
  while (parent.childNodes.length > nodes.length) parent.lastChild.remove();
}

const alike = (one, other) =>
  one.nodeName === other.nodeName && one.getAttribute?.("data-key") === other.getAttribute?.("data-key");

function morph(old, now) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  for (const { name } of [...old.attributes])
    if (!now.hasAttribute(name) && name !== "open" && name !== "style") old.removeAttribute(name);
  for (const { name, value } of now.attributes)
    if (name !== "style" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (now.handlers) old.handlers = now.handlers;
  for (const name of now.style ?? []) old.style.setProperty(name, now.style.getPropertyValue(name));
  if (old.nodeName !== "INPUT") render(old, ...now.childNodes);
}

/** Sets a custom property, which the style sheet reads: inline style attributes are forbidden by the page's policy. */
export function sized(element, name, value) {
  element.style.setProperty(name, value);
  return element;
}
