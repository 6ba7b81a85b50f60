/** What the page says beside the answer. */

import { find, make, visible } from "./dom.js";

/** Say what went wrong, in the service's words. */
export function showError(error) {
  const places = (error.errors ?? []).map(({ loc, message }) => make("li", {}, visible(`${loc}: ${message}`)));
  const lines = [make("p", {}, visible(places.length ? error.title : error.message))];
  if (places.length) lines.push(make("ul", {}, ...places));
  if (error.requestId) lines.push(make("p", { className: "quiet" }, `Request ${error.requestId}`));
  put("error", make("div", {}, ...lines), button("Dismiss", clearError));
}

export const clearError = () => put("error");

/** Say what was done, with a way back if there is one. */
export function showNotice(words, undo) {
  const dismiss = button("Dismiss", () => put("notice"));
  put("notice", make("p", {}, ...words), ...(undo ? [button("Undo", undo)] : []), dismiss);
}

/** Say that the routes are not those on the page any more. */
export function showMoved(revision, reload) {
  if (find("moved").childElementCount) return;
  put("moved", make("p", {}, `The routes have moved on to revision ${revision}.`), button("Reload them", reload));
}

export const clearMoved = () => put("moved");

function put(id, ...children) {
  find(id).replaceChildren(...children);
}

function button(label, action) {
  const made = make("button", { type: "button", className: "plain" }, label);
  made.addEventListener("click", async () => {
    await action();
    // The message is gone, and with it the button that had the focus.
    if (document.activeElement === document.body) find("query").focus();
  });
  return made;
}
