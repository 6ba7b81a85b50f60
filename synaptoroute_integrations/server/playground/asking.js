/** The query field and its answer. The newest question wins, whichever answer comes last. */

import { call } from "./api.js";
import { brief, candidateRow, figures, neighbourRow, sentence, targets } from "./answer.js";
import { find, visible } from "./dom.js";
import { clearError } from "./messages.js";

const TYPING_PAUSE_MS = 150;
const FOLLOW_MS = 150;
const FOLLOW_TRIES = 20;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Ask until the answer is at least of revision `least`: another worker process may lag behind the one that
 * took the change.
 */
export async function following(least, ask) {
  for (let tries = 1; ; tries += 1) {
    const answer = await ask();
    if (answer.revision >= least || tries === FOLLOW_TRIES) return answer;
    await pause(FOLLOW_MS);
  }
}

export class Asking {
  #page;
  #turn = 0;
  #timer;
  #running = new AbortController();
  #asked = null;
  #decision = null;

  /** @param {object} page `config`, `routes`, `failed(error)` and `answered(decision, trial)`. */
  constructor(page) {
    this.#page = page;
    this.#show(null);
    find("query").addEventListener("input", () => this.#typed());
    find("query").addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.put("");
    });
    find("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask({ trial: false });
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

  /**
   * Ask what stands in the field.
   *
   * @param {object} options `least` is the revision that the answer must have seen; a `trial` is not counted.
   */
  async ask({ least = 0, trial = true } = {}) {
    clearTimeout(this.#timer);
    this.#running.abort();
    this.#running = new AbortController();
    const turn = ++this.#turn;
    const { text } = this;
    if (this.#asked !== text) this.#decision = null;
    this.#asked = text;
    if (!text) return this.#show(null);
    find("answer").ariaBusy = "true";
    try {
      const { decision, milliseconds } = await this.#route({ text, trial }, least);
      if (turn !== this.#turn) return;
      clearError();
      this.#show(decision, milliseconds);
      this.#page.answered(decision, trial);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#show(null, 0, "No answer: see the message below.");
      await this.#page.failed(error);
    }
  }

  async #route(body, least) {
    const { signal } = this.#running;
    let milliseconds = 0;
    const decision = await following(least, async () => {
      const started = performance.now();
      const answer = await call("POST", "route", { body, signal });
      milliseconds = performance.now() - started;
      return answer;
    });
    return { decision, milliseconds };
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
