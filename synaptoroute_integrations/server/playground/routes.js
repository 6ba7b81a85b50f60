/** The list of routes: filtered, opened one by one, edited in place. */

import { decimals, find, keepFocus, make, nameOf, quoted, visible } from "./dom.js";

/** Shows the routes in `#routes` and tells `actions` what the reader wants changed. */
export class RouteList {
  #routes = [];
  #locked = false;
  #open = new Set();
  #actions;

  /** @param {object} actions `removeUtterance(route, text)`, `setThreshold(route, value)`, `removeRoute(route)`. */
  constructor(actions) {
    this.#actions = actions;
    find("filter").addEventListener("input", () => this.#render());
  }

  /** Take over the routes as they are now; `locked` switches the editing off. */
  update(routes, locked) {
    this.#routes = routes;
    this.#locked = locked;
    this.#render();
  }

  #render() {
    const wanted = find("filter").value.trim().toLowerCase();
    const shown = wanted ? this.#routes.filter((route) => contains(route, wanted)) : this.#routes;
    const render = () => find("routes").replaceChildren(...shown.map((route) => this.#item(route)));
    keepFocus(find("routes"), render, fallbacks, find("filter"));
    find("count").textContent = countOf(shown.length, this.#routes.length);
  }

  #item(route) {
    const { name, description, utterances, threshold } = route;
    const needs = threshold === null ? "" : `, needs ${decimals(threshold)}`;
    const summary = make(
      "summary",
      { data: { key: `summary ${name}` } },
      nameOf(name, { className: "name" }),
      make("span", { className: "quiet" }, `${utterances.length}${needs}`),
      description ? quoted(description, { className: "description quiet" }) : "",
    );
    const details = make("details", { open: this.#open.has(name), data: { route: name } }, summary);
    if (details.open) details.append(this.#body(route));
    details.addEventListener("toggle", () => {
      this.#open[details.open ? "add" : "delete"](name);
      if (details.open && details.children.length === 1) details.append(this.#body(route));
    });
    return make("li", {}, details);
  }

  #body(route) {
    const rows = route.utterances.map((text, place) => this.#utterance(route, text, place));
    const drop = make("button", {
      type: "button",
      className: "plain danger",
      disabled: this.#locked,
      textContent: "Remove this route",
      data: { key: `drop ${route.name}` },
    });
    drop.addEventListener("click", () => this.#actions.removeRoute(route));
    return make("div", { className: "body stack" }, this.#thresholdForm(route), make("ul", {}, ...rows), drop);
  }

  #utterance(route, text, place) {
    const remove = make("button", {
      type: "button",
      className: "plain",
      disabled: this.#locked,
      textContent: "Remove",
      ariaLabel: `Remove “${visible(text)}”`,
      data: { key: `remove ${route.name} ${place}` },
    });
    remove.addEventListener("click", () => this.#actions.removeUtterance(route, text));
    return make("li", { className: "ends" }, quoted(text), remove);
  }

  #thresholdForm(route) {
    const id = `threshold-of-${route.name}`;
    const input = make("input", {
      id,
      type: "number",
      min: "-1",
      max: "1",
      step: "any",
      placeholder: "the router’s",
      value: route.threshold ?? "",
      disabled: this.#locked,
      data: { key: `threshold ${route.name}` },
    });
    const key = `save ${route.name}`;
    const save = make("button", { type: "submit", disabled: this.#locked, data: { key } }, "Save");
    const form = make("form", { className: "row" }, make("label", { htmlFor: id }, "Threshold"), input, save);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#actions.setThreshold(route, input.value === "" ? null : input.valueAsNumber);
    });
    return form;
  }
}

function contains({ name, description, utterances }, wanted) {
  return [name, description, ...utterances].some((text) => text.toLowerCase().includes(wanted));
}

function countOf(shown, all) {
  const routes = all === 1 ? "1 route" : `${all} routes`;
  return shown === all ? routes : `${shown} of ${routes}`;
}

/** Where the focus goes when what had it is gone: the utterance above, then the route itself. */
function fallbacks(key) {
  const [kind, name, place] = key.split(" ");
  return kind === "remove" ? [`remove ${name} ${Number(place) - 1}`, `summary ${name}`] : [`summary ${name}`];
}
