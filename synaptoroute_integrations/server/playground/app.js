/** The playground: ask, see why, teach, and watch the answer change. */

import { Asking, following } from "./asking.js";
import { call, key, readiness } from "./api.js";
import { Editor, addRoute, addUtterances, removeRoute, removeUtterances, setThreshold } from "./edits.js";
import { decimals, find, make, nameOf, quoted } from "./dom.js";
import { RouteList } from "./routes.js";
import { clearError, clearMoved, showError, showMoved } from "./messages.js";

const POLL_MS = 5_000;
const ANSWERING = ["ready", "stale"];
const MODEL_HASH = /\/[0-9a-f]{12,}(\/|$).*/;
const PRINTABLE = /^[\x21-\x7e]+$/;
const NONE_YET = "None so far. Texts that go nowhere appear here, newest first.";
const NONE_KEPT = "This service keeps none.";
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
    if (error.slug === "revision-conflict") return recover(error);
    return showError(error);
  },

  answered(decision, trial) {
    find("rule").textContent = decision.scorer;
    if (decision.revision > page.revision) showMoved(decision.revision, reloadSafely);
    if (decision.route === null && !trial) showAbstentions();
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
  lock(stats.scope !== "admin");
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
    if (ANSWERING.includes(status) && page.revision === undefined && find("key-panel").hidden) await start();
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
  page.locked = locked;
  for (const id of ["locked", "teach-locked"]) {
    find(id).hidden = !locked;
    find(id).textContent = locked ? READ_ONLY : "";
  }
  find("new-fields").disabled = locked;
  find("refresh").hidden = locked;
  for (const control of find("teach").elements) control.disabled = locked;
}

// --- abstentions -------------------------------------------------------------------------------

async function showAbstentions() {
  if (page.locked) {
    listAbstentions([], "Shown to keys with the scope admin only: they are what users typed.");
    return;
  }
  try {
    const { abstentions, kept } = await call("GET", "abstentions");
    const newest = new Map(abstentions.toReversed().map((each) => [each.text, each]));
    listAbstentions(abstentions.filter((each) => newest.get(each.text) === each), kept ? NONE_YET : NONE_KEPT);
  } catch (error) {
    await page.failed(error);
  }
}

function listAbstentions(abstentions, otherwise) {
  find("abstentions").replaceChildren(...abstentions.map(abstentionRow));
  find("abstentions-text").textContent = abstentions.length ? "Choose one to ask it again." : otherwise;
}

function abstentionRow({ text, at, decision }) {
  const button = make("button", { type: "button" }, quoted(text));
  button.addEventListener("click", () => asking.put(text));
  const [best] = decision.candidates;
  const nearest = best ? [nameOf(best.route), ` ${decimals(decision.score)}, `] : [];
  const time = make("time", { dateTime: at }, new Date(at).toLocaleTimeString());
  return make("li", { className: "ends" }, button, make("span", { className: "quiet" }, ...nearest, time));
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
