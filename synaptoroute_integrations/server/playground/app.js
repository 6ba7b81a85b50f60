/** The playground: ask, see why, teach, and watch the answer change. No library, no build step. */

// --- making elements and showing values ----------------------------------------------------------

const HIDDEN_SIGNS = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const CONTROL_PICTURES = 0x2400;

const find = (id) => document.getElementById(id);

/**
 * An element with properties, `data` attributes and children.
 *
 * @param {string} tag
 * @param {object} properties Set on the element; `data` goes to its dataset.
 * @param {...(Node|string)} children
 */
function make(tag, { data = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

/** `text` with its invisible signs made visible, so that none of them hides or reorders anything. */
function visible(text) {
  return text.replace(HIDDEN_SIGNS, (sign) => {
    const code = sign.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(CONTROL_PICTURES + code);
    return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
  });
}

/** User text, kept apart from the writing direction of what surrounds it. */
const quoted = (text, properties = {}) => make("bdi", properties, visible(text));

/** A route's name, which may break after the signs that part its words. */
function nameOf(route, properties = {}) {
  const parts = route.split(/(?<=[_.-])/).flatMap((part) => [part, make("wbr")]);
  return make("bdi", properties, ...parts.slice(0, -1));
}

const decimals = (value, places = 2) => (value === null ? "none" : value.toFixed(places));

/** Two numbers with as many places as it takes to tell them apart. */
function apart(one, other) {
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
function keepFocus(root, render, fallbacks, last) {
  const active = document.activeElement;
  const key = root.contains(active) ? active.dataset.key : undefined;
  render();
  if (key === undefined) return;
  const keyed = new Map([...root.querySelectorAll("[data-key]")].map((element) => [element.dataset.key, element]));
  const heir = [key, ...fallbacks(key)].map((each) => keyed.get(each)).find(Boolean) ?? last;
  heir.focus();
}

// --- the service's HTTP interface: requests, problem details, and the key ------------------------

const ROOT = new URL("..", import.meta.url);
const STORED = "synaptoroute-key";
const TIMEOUT_MS = 30_000;
const PROBLEMS = "urn:synaptoroute:";

/** An answer that is not a success, as the service describes it (RFC 9457). */
class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The service answered with status ${status}.`);
    this.status = status;
    this.slug = (body.type ?? "").replace(PROBLEMS, "");
    this.title = body.title ?? "Error";
    this.errors = body.errors ?? [];
    this.requestId = body.request_id ?? "";
    this.body = body;
  }
}

/** The service could not be reached at all, or did not answer in time. */
class Unreachable extends Error {}

const key = {
  get: () => sessionStorage.getItem(STORED),
  set: (value) => sessionStorage.setItem(STORED, value),
  forget: () => sessionStorage.removeItem(STORED),
};

/**
 * Ask the service.
 *
 * @param {string} method
 * @param {string} path Without the leading slash.
 * @param {object} options `body` is sent as JSON; `revision` makes the change fail if the router has moved on.
 * @returns {Promise<object>} The answer's body.
 * @throws {Problem|Unreachable|DOMException} The last if `signal` was aborted.
 */
async function call(method, path, { body, revision, signal } = {}) {
  const response = await send(method, path, { body, revision, signal });
  const answer = await read(response);
  if (!response.ok) throw new Problem(response.status, answer);
  return answer;
}

/** Whether the service is ready: an open address, and 503 is an answer too. */
async function readiness() {
  return read(await send("GET", "health/ready"));
}

const routePath = (name, rest = "") => `routes/${encodeURIComponent(name)}${rest}`;

async function send(method, path, { body, revision, signal } = {}) {
  const headers = new Headers({ Accept: "application/json" });
  if (body !== undefined) headers.set("Content-Type", "application/json");
  if (revision !== undefined) headers.set("If-Match", `"${revision}"`);
  if (key.get()) headers.set("Authorization", `Bearer ${key.get()}`);
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(new URL(path, ROOT), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable("The service cannot be reached. Is it still running?", { cause: error });
  }
}

async function read(response) {
  if (!(response.headers.get("Content-Type") ?? "").includes("json")) return {};
  return response.json();
}

// --- what the page says beside the answer --------------------------------------------------------

/** Say what went wrong, in the service's words. */
function showError(error) {
  const places = (error.errors ?? []).map(({ loc, message }) => make("li", {}, visible(`${loc}: ${message}`)));
  const lines = [make("p", {}, visible(places.length ? error.title : error.message))];
  if (places.length) lines.push(make("ul", {}, ...places));
  if (error.requestId) lines.push(make("p", { className: "quiet" }, `Request ${error.requestId}`));
  put("error", make("div", {}, ...lines), button("Dismiss", clearError));
}

const clearError = () => put("error");

/** Say what was done, with a way back if there is one. */
function showNotice(words, undo) {
  const dismiss = button("Dismiss", () => put("notice"));
  put("notice", make("p", {}, ...words), ...(undo ? [button("Undo", undo)] : []), dismiss);
}

/** Say that the routes are not those on the page any more. */
function showMoved(revision, reload) {
  if (find("moved").childElementCount) return;
  put("moved", make("p", {}, `The routes have moved on to revision ${revision}.`), button("Reload them", reload));
}

const clearMoved = () => put("moved");

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

// --- changes to the routes as data: what to send, what to say, and the change that undoes it -----

function addUtterances(name, utterances) {
  return {
    method: "POST",
    path: routePath(name, "/utterances"),
    body: { utterances },
    said: ["Added to ", nameOf(name), "."],
    undo: () => removeUtterances(name, utterances),
  };
}

function removeUtterances(name, utterances) {
  return {
    method: "DELETE",
    path: routePath(name, "/utterances"),
    body: { utterances },
    said: ["Removed from ", nameOf(name), "."],
    undo: () => addUtterances(name, utterances),
  };
}

function setThreshold(name, threshold, before) {
  const words = threshold === null ? " now has the router’s threshold." : ` now needs ${decimals(threshold)}.`;
  return {
    method: "PATCH",
    path: routePath(name),
    body: { threshold },
    said: [nameOf(name), words],
    undo: () => setThreshold(name, before, threshold),
  };
}

function addRoute(route) {
  return {
    method: "POST",
    path: "routes",
    body: route,
    said: ["Created the route ", nameOf(route.name), "."],
    undo: () => removeRoute(route),
  };
}

function removeRoute(route) {
  return {
    method: "DELETE",
    path: routePath(route.name),
    said: ["Removed the route ", nameOf(route.name), "."],
    undo: () => addRoute(route),
  };
}

/** Makes one change at a time, each against the revision that the reader sees. */
class Editor {
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

// --- one decision as people read it --------------------------------------------------------------

const strong = (...children) => make("strong", {}, ...children);

/** The decision in one sentence, as nodes. */
function sentence(decision, config) {
  if (decision.route !== null) return ["goes to ", strong(nameOf(decision.route))];
  return [strong("abstains"), ...reasonOf(decision, config)];
}

function reasonOf({ reason, score, threshold, margin, candidates }, config) {
  const [best, second] = candidates;
  if (reason === "below_threshold") {
    const [has, needs] = apart(score, threshold);
    return [`: the best score ${has} is below its threshold ${needs}`];
  }
  if (reason === "low_confidence") {
    const [has, needs] = apart(score, threshold);
    return [`: the confidence ${has} is below the least confidence ${needs}`];
  }
  if (reason === "ambiguous") {
    const [has, needs] = apart(margin, config.min_margin);
    const other = second ? nameOf(second.route) : "the next";
    return [": ", nameOf(best.route), " leads ", other, ` by ${has} and needs a lead of ${needs}`];
  }
  return [": there is no route to choose from"];
}

/** The decision in a few words, for a comparison. */
function brief(decision) {
  const score = decision.score === null ? "" : ` (${decimals(decision.score)})`;
  return decision.route === null ? `abstained${score}` : `went to ${decision.route}${score}`;
}

/** Names and values of the decision's numbers. */
function figures(decision, milliseconds) {
  const rows = [["Score", decimals(decision.score)]];
  if (decision.margin !== null) rows.push(["Margin", decimals(decision.margin)]);
  if (decision.confidence !== null) rows.push(["Confidence", decimals(decision.confidence)]);
  rows.push(["Rule", decision.scorer], ["Answered in", `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`]);
  return rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}

/** A candidate: its bar, its score and the utterance that speaks for it. */
function candidateRow({ route, score, threshold, utterance }, chosen) {
  const bar = make("div", { className: "bar", ariaHidden: "true" }, make("span", { className: "fill" }));
  bar.style.setProperty("--score", Math.max(0, score));
  if (threshold !== null) {
    bar.style.setProperty("--threshold", Math.min(1, Math.max(0, threshold)));
    bar.append(make("span", { className: "tick" }));
  }
  const [has, needs] = threshold === null ? [decimals(score), ""] : apart(score, threshold);
  return make(
    "li",
    { className: route === chosen ? "chosen" : "", data: { route } },
    make("p", { className: "name" }, nameOf(route)),
    make("p", { className: "score" }, strong(has), make("span", {}, threshold === null ? "" : ` needs ${needs}`)),
    bar,
    make("p", { className: "evidence" }, "nearest: ", quoted(utterance)),
  );
}

/** A row of the table of neighbours. */
function neighbourRow({ similarity, utterance, route }) {
  const cells = [decimals(similarity, 3), quoted(utterance), nameOf(route)];
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}

/** The choices of a route to add the text to: the candidates first, then the others by name. */
function targets(decision, routes) {
  const near = decision.candidates.map(({ route }) => route);
  const others = routes.map(({ name }) => name).filter((name) => !near.includes(name)).sort();
  return [group("Candidates", near), group("Other routes", others)].filter((each) => each.children.length);
}

function group(label, names) {
  return make("optgroup", { label }, ...names.map((name) => make("option", { value: name }, name)));
}

// --- the query field and its answer --------------------------------------------------------------

const TYPING_PAUSE_MS = 150;
const FOLLOW_MS = 150;
const FOLLOW_TRIES = 20;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Ask until the answer is at least of revision `least`: another worker process may lag behind the one that
 * took the change.
 */
async function following(least, ask) {
  for (let tries = 1; ; tries += 1) {
    const answer = await ask();
    if (answer.revision >= least || tries === FOLLOW_TRIES) return answer;
    await pause(FOLLOW_MS);
  }
}

class Asking {
  /** Texts that were sent while they were still being typed: abstentions that nobody wants to read. */
  unfinished = new Set();
  #page;
  #turn = 0;
  #timer;
  #running = new AbortController();
  #asked = null;
  #decision = null;

  /** @param {object} page `config`, `routes`, `failed(error)` and `answered(decision)`. */
  constructor(page) {
    this.#page = page;
    this.#show(null);
    find("query").addEventListener("input", () => this.#typed());
    find("query").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.put("");
    });
    find("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    find("why").addEventListener("toggle", () => this.#explain());
  }

  /** What stands in the query field. */
  get text() {
    return find("query").value.trim();
  }

  /** Put a text into the query field and ask it. */
  put(text) {
    find("query").value = text;
    find("query").focus();
    return this.ask();
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(), TYPING_PAUSE_MS);
  }

  /** Ask what stands in the field; `least` is the revision that the answer must have seen. */
  async ask({ least = 0 } = {}) {
    clearTimeout(this.#timer);
    this.#running.abort();
    this.#running = new AbortController();
    const turn = ++this.#turn;
    const { text } = this;
    this.#follow(text);
    if (!text) return this.#show(null);
    find("answer").ariaBusy = "true";
    try {
      const { decision, milliseconds } = await this.#route(text, least);
      if (turn !== this.#turn) return;
      clearError();
      this.#show(decision, milliseconds);
      this.#page.answered(decision);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#show(null, 0, "no answer: see the message above");
      await this.#page.failed(error);
    }
  }

  async #route(text, least) {
    const { signal } = this.#running;
    let milliseconds = 0;
    const decision = await following(least, async () => {
      const started = performance.now();
      const answer = await call("POST", "route", { body: { text }, signal });
      milliseconds = performance.now() - started;
      return answer;
    });
    return { decision, milliseconds };
  }

  /** Remember what this text grew out of. */
  #follow(text) {
    if (this.#asked && this.#asked !== text) this.unfinished.add(this.#asked);
    this.unfinished.delete(text);
    if (this.#asked !== text) this.#decision = null;
    this.#asked = text;
  }

  #show(decision, milliseconds = 0, words = "Type a text to see where it goes.") {
    const before = this.#decision;
    this.#decision = decision;
    find("answer").ariaBusy = "false";
    find("answer").dataset.outcome = outcomeOf(decision);
    find("details").hidden = decision === null;
    this.#compare(before, decision);
    if (decision === null) {
      find("decision").replaceChildren(words);
      return;
    }
    find("decision").replaceChildren(...sentence(decision, this.#page.config));
    find("figures").replaceChildren(...figures(decision, milliseconds));
    find("boundary").hidden = !decision.near_boundary;
    find("candidates").replaceChildren(...decision.candidates.map((each) => candidateRow(each, decision.route)));
    this.#offerTargets(decision, before);
    this.#explain();
  }

  /** Where a change turned the answer, say what it was. */
  #compare(before, now) {
    const turned = before !== null && now !== null && brief(before) !== brief(now);
    find("before").hidden = !turned;
    find("before").textContent = turned ? `Before the change it ${visible(brief(before))}.` : "";
    find("answer").classList.remove("turned");
    // Reading a measure makes the browser see the class go, so that the highlight starts anew.
    if (!turned || !find("answer").offsetWidth) return;
    find("answer").classList.add("turned");
    find("decision").scrollIntoView({ block: "nearest" });
  }

  /** The routes that may take the text; the reader's own choice stays as long as the text does. */
  #offerTargets(decision, before) {
    const target = find("target");
    const chosen = before === null ? null : target.value;
    target.replaceChildren(...targets(decision, this.#page.routes));
    if (chosen && this.#page.routes.some(({ name }) => name === chosen)) target.value = chosen;
  }

  async #explain() {
    if (!find("why").open || this.#decision === null) return;
    const turn = this.#turn;
    try {
      const { advice, neighbours } = await call("POST", "explain", {
        body: { text: this.#asked },
        signal: this.#running.signal,
      });
      if (turn !== this.#turn) return;
      find("advice").textContent = visible(advice);
      find("neighbours").replaceChildren(...neighbours.map(neighbourRow));
    } catch (error) {
      if (turn === this.#turn) await this.#page.failed(error);
    }
  }
}

function outcomeOf(decision) {
  if (decision === null) return "none";
  return decision.route === null ? "abstained" : "matched";
}

// --- the list of routes: filtered, opened one by one, edited in place ----------------------------

/** Shows the routes in `#routes` and tells `actions` what the reader wants changed. */
class RouteList {
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
      description ? quoted(description, { className: "description" }) : "",
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
    return make("div", { className: "body" }, this.#thresholdForm(route), make("ul", {}, ...rows), drop);
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
    return make("li", {}, quoted(text), remove);
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

// --- what the page is made of, and what starts it ------------------------------------------------

const POLL_MS = 5_000;
const ABSTENTIONS_PAUSE_MS = 800;
const MODEL_HASH = /\/[0-9a-f]{12,}(\/|$).*/;
const PRINTABLE = /^[\x21-\x7e]+$/;
const READ_ONLY = "Editing is off: this key may ask and look. Changes need a key with the scope admin.";

/** What the page knows, and what its parts ask of it. */
const page = {
  revision: undefined,
  routes: [],
  config: {},
  locked: false,

  /** Load the routes as they are from revision `least` on, and ask the text again. */
  async reload(least = 0) {
    await load(least);
    await asking.ask({ least: page.revision });
  },

  /** Show what went wrong, and do what can be done about it. */
  async failed(error) {
    if (error.status === 401) return askForKey();
    if (error.slug === "forbidden" && key.get()) lock(true);
    if (error.slug === "revision-conflict") return recover(error);
    return showError(error);
  },

  answered(decision) {
    find("rule").textContent = decision.scorer;
    if (decision.revision > page.revision) showMoved(decision.revision, reloadSafely);
    if (decision.route === null) abstentionsSoon();
  },
};

const asking = new Asking(page);
const editor = new Editor(page);
const routeList = new RouteList({
  removeUtterance: ({ name }, text) => editor.make(removeUtterances(name, [text])),
  setThreshold: ({ name, threshold }, value) => editor.make(setThreshold(name, value, threshold)),
  removeRoute: (route) => editor.make(removeRoute(route)),
});

// --- loading -----------------------------------------------------------------------------------

async function start() {
  try {
    lock(false);
    await load();
    openWorkspace();
    await Promise.all([showAbstentions(), asking.ask()]);
  } catch (error) {
    await page.failed(error);
  }
}

async function load(least = 0) {
  const [stats, { revision, routes }] = await Promise.all([
    call("GET", "stats"),
    following(least, () => call("GET", "routes")),
  ]);
  Object.assign(page, { revision, routes, config: stats.config });
  find("revision").textContent = revision;
  find("rule").textContent = stats.router.scorer;
  find("encoder").textContent = stats.encoder.fingerprint.replace(MODEL_HASH, "");
  find("encoder").title = stats.encoder.fingerprint;
  showState(stats.state);
  clearMoved();
  routeList.update(routes, page.locked);
}

async function reloadSafely() {
  try {
    await page.reload();
  } catch (error) {
    await page.failed(error);
  }
}

/** Somebody else was faster: show what is there now, and that nothing of ours was saved. */
async function recover({ body }) {
  await reloadSafely();
  const meanwhile = `the routes were changed meanwhile, from revision ${body.expected} to ${body.revision}`;
  showError(new Error(`Not saved: ${meanwhile}. They are loaded again; please try once more.`));
}

async function poll() {
  if (document.visibilityState !== "visible") return;
  try {
    const { status, revision } = await readiness();
    showState(status ?? "unreachable");
    if (status === "ready" && page.revision === undefined && find("key-panel").hidden) await start();
    if (!editor.busy && revision > page.revision) showMoved(revision, reloadSafely);
  } catch {
    showState("unreachable");
  }
}

function showState(state) {
  if (find("state").textContent === state) return;
  find("state").textContent = state;
  find("state").dataset.state = state;
}

// --- keys --------------------------------------------------------------------------------------

function askForKey() {
  const refused = key.get() !== null;
  key.forget();
  find("key-text").textContent = refused
    ? "The service did not accept this key. Check it, or ask the operator for a new one."
    : "Paste your key to go on.";
  find("key-panel").hidden = false;
  find("workspace").hidden = true;
  find("forget-key").hidden = true;
  find("key").focus();
}

function openWorkspace() {
  const wasAsked = !find("key-panel").hidden;
  find("key-panel").hidden = true;
  find("workspace").hidden = false;
  find("forget-key").hidden = key.get() === null;
  clearError();
  if (wasAsked) find("query").focus();
}

/** Switch editing off, with the reason, or on. */
function lock(locked) {
  if (page.locked === locked) return;
  page.locked = locked;
  for (const id of ["locked", "teach-locked"]) {
    find(id).hidden = !locked;
    find(id).textContent = locked ? READ_ONLY : "";
  }
  find("new-fields").disabled = locked;
  for (const control of find("teach").elements) control.disabled = locked;
  routeList.update(page.routes, locked);
}

// --- abstentions -------------------------------------------------------------------------------

let abstentionsTimer;

function abstentionsSoon() {
  clearTimeout(abstentionsTimer);
  abstentionsTimer = setTimeout(showAbstentions, ABSTENTIONS_PAUSE_MS);
}

async function showAbstentions() {
  if (page.locked) return;
  try {
    const { abstentions } = await call("GET", "abstentions");
    const newest = new Map(abstentions.toReversed().map((each) => [each.text, each]));
    listAbstentions(abstentions.filter((each) => newest.get(each.text) === each && !asking.unfinished.has(each.text)));
  } catch (error) {
    await abstentionsFailed(error);
  }
}

function listAbstentions(abstentions) {
  find("abstentions").replaceChildren(...abstentions.map(abstentionRow));
  find("abstentions-text").textContent = abstentions.length
    ? "Choose one to ask it again."
    : "None so far. Texts that go nowhere appear here, newest first, if the service keeps them.";
}

async function abstentionsFailed(error) {
  find("abstentions").replaceChildren();
  if (error.status === 403) {
    lock(true);
    find("abstentions-text").textContent = "Shown to keys with the scope admin only: they are what users typed.";
  } else if (error.status === 404) {
    find("abstentions-text").textContent = "This service keeps none.";
  } else {
    await page.failed(error);
  }
}

function abstentionRow({ text, at, decision }) {
  const button = make("button", { type: "button" }, quoted(text));
  button.addEventListener("click", () => asking.put(text));
  const [best] = decision.candidates;
  const nearest = best ? [nameOf(best.route), ` ${decimals(decision.score)}, `] : [];
  const time = make("time", { dateTime: at }, new Date(at).toLocaleTimeString());
  return make("li", {}, button, make("span", { className: "quiet" }, ...nearest, time));
}

// --- forms and keys of the keyboard ------------------------------------------------------------

const typesText = (element) => element.matches("input, textarea, select") || element.isContentEditable;

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typesText(event.target)) return;
  event.preventDefault();
  find("query").focus();
  find("query").select();
});

find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const value = find("key").value.trim();
  find("key").value = "";
  key.set(value);
  // Anything else cannot stand in a header.
  if (PRINTABLE.test(value)) start();
  else askForKey();
});

find("forget-key").addEventListener("click", () => {
  key.forget();
  start();
});

find("refresh").addEventListener("click", showAbstentions);

find("teach").addEventListener("submit", (event) => {
  event.preventDefault();
  if (asking.text) editor.make(addUtterances(find("target").value, [asking.text]));
});

find("new-route").addEventListener("toggle", () => {
  if (find("new-route").open && !find("new-utterances").value) find("new-utterances").value = asking.text;
});

find("new-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const threshold = find("new-threshold");
  const made = await editor.make(
    addRoute({
      name: find("new-name").value.trim(),
      utterances: find("new-utterances").value.split("\n").filter((line) => line.trim()),
      description: find("new-description").value.trim(),
      threshold: threshold.value === "" ? null : threshold.valueAsNumber,
    }),
  );
  if (!made) return;
  find("new-form").reset();
  find("new-route").open = false;
  find("new-route").querySelector("summary").focus();
});

start();
setInterval(poll, POLL_MS);
