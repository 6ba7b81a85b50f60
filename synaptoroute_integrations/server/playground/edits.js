/** Changes to the routes as data: what to send, what to say, and the change that undoes it. */

import { call, routePath } from "./api.js";
import { clearError, showNotice } from "./messages.js";
import { decimals, nameOf } from "./dom.js";

export function addUtterances(name, utterances) {
  return {
    method: "POST",
    path: routePath(name, "/utterances"),
    body: { utterances },
    said: ["Added to ", nameOf(name), "."],
    undo: () => removeUtterances(name, utterances),
  };
}

export function removeUtterances(name, utterances) {
  return {
    method: "DELETE",
    path: routePath(name, "/utterances"),
    body: { utterances },
    said: ["Removed from ", nameOf(name), "."],
    undo: () => addUtterances(name, utterances),
  };
}

export function setThreshold(name, threshold, before) {
  const words = threshold === null ? " now has the router’s threshold." : ` now needs ${decimals(threshold)}.`;
  return {
    method: "PATCH",
    path: routePath(name),
    body: { threshold },
    said: [nameOf(name), words],
    undo: () => setThreshold(name, before, threshold),
  };
}

export function addRoute(route) {
  return {
    method: "POST",
    path: "routes",
    body: route,
    said: ["Created the route ", nameOf(route.name), "."],
    undo: () => removeRoute(route),
  };
}

export function removeRoute(route) {
  return {
    method: "DELETE",
    path: routePath(route.name),
    said: ["Removed the route ", nameOf(route.name), "."],
    undo: () => addRoute(route),
  };
}

/** Makes one change at a time, each against the revision that the reader sees. */
export class Editor {
  #page;
  busy = false;

  /** @param {object} page `revision`, `reload(least)` and `failed(error)`. */
  constructor(page) {
    this.#page = page;
  }

  /** Make a change and show what came of it. Returns whether it was made. */
  async make(edit, { isUndo = false } = {}) {
    if (this.busy) return false;
    this.busy = true;
    try {
      const { method, path, body } = edit;
      const receipt = await call(method, path, { body, revision: this.#page.revision });
      clearError();
      this.#announce(edit, receipt, isUndo);
      await this.#page.reload(receipt.revision);
      return true;
    } catch (error) {
      await this.#page.failed(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  #announce({ said, undo }, { changed }, isUndo) {
    // Undoing what changed nothing would take away what was there before.
    if (!changed) showNotice(["Nothing to change: it is so already."]);
    else if (isUndo) showNotice(["Undone: ", ...said]);
    else showNotice(said, () => this.make(undo(), { isUndo: true }));
  }
}
