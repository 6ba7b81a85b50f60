/** Making elements and showing values. Text always goes in as text, never as markup. */

const HIDDEN_SIGNS = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const CONTROL_PICTURES = 0x2400;

export const find = (id) => document.getElementById(id);

/**
 * An element with properties, `data` attributes and children.
 *
 * @param {string} tag
 * @param {object} properties Set on the element; `data` goes to its dataset.
 * @param {...(Node|string)} children
 */
export function make(tag, { data = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

/** `text` with its invisible signs made visible, so that none of them hides or reorders anything. */
export function visible(text) {
  return text.replace(HIDDEN_SIGNS, (sign) => {
    const code = sign.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(CONTROL_PICTURES + code);
    return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
  });
}

/** User text, kept apart from the writing direction of what surrounds it. */
export const quoted = (text, properties = {}) => make("bdi", properties, visible(text));

/** A route's name, which may break after the signs that part its words. */
export function nameOf(route, properties = {}) {
  const parts = route.split(/(?<=[_.-])/).flatMap((part) => [part, make("wbr")]);
  return make("bdi", properties, ...parts.slice(0, -1));
}

export const decimals = (value, places = 2) => (value === null ? "none" : value.toFixed(places));

/** Two numbers with as many places as it takes to tell them apart. */
export function apart(one, other) {
  let places = 2;
  while (places < 9 && one !== other && one.toFixed(places) === other.toFixed(places)) places += 1;
  return [one.toFixed(places), other.toFixed(places)];
}

/**
 * Run `render`, then give the focus back to what had it in `root`, known by its `data-key`.
 *
 * @param {Element} root
 * @param {Function} render Replaces the contents of `root`.
 * @param {Function} fallbacks From a key to the keys that may take its place, best first.
 * @param {HTMLElement} last Takes the focus if none of them is there any more.
 */
export function keepFocus(root, render, fallbacks, last) {
  const active = document.activeElement;
  const key = root.contains(active) ? active.dataset.key : undefined;
  render();
  if (key === undefined) return;
  const keyed = new Map([...root.querySelectorAll("[data-key]")].map((element) => [element.dataset.key, element]));
  const heir = [key, ...fallbacks(key)].map((each) => keyed.get(each)).find(Boolean) ?? last;
  heir.focus();
}
