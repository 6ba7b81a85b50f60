/** One decision as people read it. */

import { apart, decimals, make, nameOf, quoted } from "./dom.js";

const strong = (...children) => make("strong", {}, ...children);

/** The decision in one sentence, as nodes. */
export function sentence(decision, config) {
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
export function brief(decision) {
  const score = decision.score === null ? "" : ` (${decimals(decision.score)})`;
  return decision.route === null ? `abstained${score}` : `went to ${decision.route}${score}`;
}

/** Names and values of the decision's numbers. */
export function figures(decision, milliseconds) {
  const rows = [["Score", decimals(decision.score)]];
  if (decision.margin !== null) rows.push(["Margin", decimals(decision.margin)]);
  if (decision.confidence !== null) rows.push(["Confidence", decimals(decision.confidence)]);
  rows.push(["Rule", decision.scorer], ["Answered in", `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`]);
  return rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}

/** A candidate: its bar, its score and the utterance that speaks for it. */
export function candidateRow({ route, score, threshold, utterance }, chosen) {
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
    make("p", { className: "score quiet" }, strong(has), make("span", {}, threshold === null ? "" : ` needs ${needs}`)),
    bar,
    make("p", { className: "evidence quiet" }, "nearest: ", quoted(utterance)),
  );
}

/** A row of the table of neighbours. */
export function neighbourRow({ similarity, utterance, route }) {
  const cells = [decimals(similarity, 3), quoted(utterance), nameOf(route)];
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}

/** The choices of a route to add the text to: the candidates first, then the others by name. */
export function targets(decision, routes) {
  const near = decision.candidates.map(({ route }) => route);
  const others = routes.map(({ name }) => name).filter((name) => !near.includes(name)).sort();
  return [group("Candidates", near), group("Other routes", others)].filter((each) => each.children.length);
}

function group(label, names) {
  return make("optgroup", { label }, ...names.map((name) => make("option", { value: name }, name)));
}
