"""Selecting a LlamaIndex tool, beside LlamaIndex's ``EmbeddingSingleSelector`` with the same embeddings.

First how a choice that is known only by name and description is best put into utterances (on the
validation split), then speed with 20 tools, then right and wrong answers with one tool for each of
clinc150's ten domains (on the test split).
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import harness
import numpy as np
from llama_index.core.selectors import EmbeddingSingleSelector
from llama_index.core.tools import ToolMetadata

from synaptoroute_core import AdaptiveRouter, BundledEncoder, Decision, Route, RouterConfig
from synaptoroute_integrations.llamaindex import SemanticRouteSelector, SynaptoRouteEmbedding
from synaptoroute_integrations.llamaindex.phrasing import clauses, name_words, phrases

TOOLS = 20
QUERIES = 200
ROUNDS = 5
UTTERANCES = 20
THRESHOLDS = (0.25, 0.30, 0.35, 0.40, 0.45)
MARGINS = (0.0, 0.03, 0.05, 0.08)
WRONG_COSTS = 2
OUT_OF_SCOPE_SHARE = 0.25

DESCRIPTIONS = {
    "auto_and_commute": "Driving and looking after a car: directions, traffic, distance, rides, fuel, tires, oil "
    "changes and maintenance.",
    "banking": "Everyday banking: account balances, transfers, bills, transactions, checks, PINs, frozen accounts "
    "and fraud.",
    "credit_cards": "Questions about a credit card: applying for one, limits, interest, rewards, credit score, and "
    "cards that are lost, damaged or declined.",
    "home": "Running the household: shopping and to-do lists, calendar, reminders, orders, music and smart home "
    "devices.",
    "kitchen_and_dining": "Cooking and eating out: recipes, ingredients, nutrition, cooking times, restaurant "
    "suggestions, reviews and reservations.",
    "meta": "Settings of the assistant itself: its voice, volume, language, accent and name, and plain replies such "
    "as yes, no, repeat or cancel.",
    "small_talk": "Chatting with the assistant: greetings, thanks, goodbyes, jokes, fun facts, and questions about "
    "who it is and what it can do.",
    "travel": "Planning and taking trips: flights, hotels, car rental, luggage, visas, vaccinations, exchange rates, "
    "time zones and translation.",
    "utility": "Small everyday tools: weather, time and date, alarms, timers, calculations, unit conversion, "
    "spelling, definitions, phone calls and messages.",
    "work": "Employment matters: vacation days, holidays, paydays, salary, taxes, health insurance, retirement plans "
    "and meetings.",
}

Phrasing = Callable[[str, str], list[str]]
PHRASINGS: dict[str, Phrasing] = {
    "description": lambda _, text: [text],
    "name: description": lambda name, text: [f"{name_words(name)}: {text}"],
    "clauses": lambda _, text: clauses(text),
    "name: description, clauses": lambda name, text: [f"{name_words(name)}: {text}", *clauses(text)],
    "name: description, clauses, name: clauses": phrases,
}


class Counting:
    """The bundled encoder, counting texts; with ``remember``, each is encoded once."""

    batch_invariant = True

    def __init__(self, *, remember: bool = False) -> None:
        self._encoder = BundledEncoder()
        self._known: dict[str, Any] | None = {} if remember else None
        self.dim = self._encoder.dim
        self.fingerprint = self._encoder.fingerprint
        self.texts = 0

    def encode(self, texts: Sequence[str]) -> Any:
        """Vectors: shape (len(texts), dim)."""
        self.texts += len(texts)
        if self._known is None:
            return self._encoder.encode(texts)
        missing = [text for text in dict.fromkeys(texts) if text not in self._known]
        if missing:
            self._known.update(zip(missing, self._encoder.encode(missing), strict=True))
        return np.array([self._known[text] for text in texts])


# --- phrasing -----------------------------------------------------------------------------------


def by_domain(folder: Path, rows: datasets.Rows) -> datasets.Rows:
    """The rows with domains for labels."""
    domains = json.loads((folder / "clinc150" / "domains.json").read_text(encoding="utf-8"))
    domain_of = {intent: domain for domain, intents in domains.items() for intent in intents}
    return [(text, domain_of[label]) for text, label in rows]


def phrasing(folder: Path, encoder: Counting) -> dict[str, Any]:
    """Accuracy, and utility at thresholds and margins, of each phrasing on validation texts."""
    rows = by_domain(folder, datasets.read(folder, "clinc150/validation"))
    outside = datasets.read(folder, "clinc150/ood_train") + datasets.read(folder, "clinc150/ood_validation")
    config = RouterConfig(threshold=-1.0, min_margin=0.0)
    found = {}
    for name, phrase in PHRASINGS.items():
        routes = [Route(tool, phrase(tool, text)) for tool, text in DESCRIPTIONS.items()]
        with AdaptiveRouter(routes, encoder=encoder, config=config) as router:
            inside = router.route_batch([text for text, _ in rows])
            others = router.route_batch([text for text, _ in outside])
        right = np.array([decision.route == label for decision, (_, label) in zip(inside, rows, strict=True)])
        utility = {
            f"{threshold:.2f}, {margin:.2f}": _utility(inside, right, others, threshold, margin)
            for threshold in THRESHOLDS
            for margin in MARGINS
        }
        found[name] = {"accuracy": float(right.mean()), "utility": utility}
    return found


def _utility(
    inside: list[Decision], right: np.ndarray, others: list[Decision], threshold: float, margin: float
) -> float:
    """Mean worth of an answer, a quarter of the queries out of scope: right 1, wrong -2, none 0."""
    gained = np.where(_answered(inside, threshold, margin), np.where(right, 1, -WRONG_COSTS), 0).mean()
    lost = WRONG_COSTS * _answered(others, threshold, margin).mean()
    return float((1 - OUT_OF_SCOPE_SHARE) * gained - OUT_OF_SCOPE_SHARE * lost)


def _answered(decisions: list[Decision], threshold: float, margin: float) -> np.ndarray:
    return np.array([(d.score or 0) >= threshold and (d.margin or 0) >= margin for d in decisions])


# --- speed --------------------------------------------------------------------------------------


def speed(folder: Path) -> dict[str, Any]:
    """Texts encoded a query after the first, and time, with 20 tools; one after another and 200 at once."""
    routes, texts = harness.work(folder, QUERIES * (ROUNDS + 1))
    choices = [ToolMetadata(description=routes[name][0], name=name) for name in list(routes)[:TOOLS]]
    ours, theirs = Counting(), Counting()
    rival = EmbeddingSingleSelector.from_defaults(SynaptoRouteEmbedding(theirs))
    with SemanticRouteSelector.from_choices(choices, encoder=ours, fallback="best") as selector:
        for each in (selector, rival):
            each.select(choices, "the first query")
        before = ours.texts, theirs.texts
        blocks = [texts[start : start + QUERIES] for start in range(0, len(texts), QUERIES)]
        turns = {name: iter(blocks) for name in ("ours", "rival", "ours, at once", "router, at once")}

        def one_by_one(name: str, each: Any) -> None:
            for text in next(turns[name]):
                each.select(choices, text)

        times = harness.in_turn(
            {
                "ours": lambda: one_by_one("ours", selector),
                "rival": lambda: one_by_one("rival", rival),
            },
            ROUNDS,
        )
        encoded = (ours.texts - before[0], theirs.texts - before[1])
    at_once = _at_once(choices, routes, blocks)
    queries = QUERIES * (ROUNDS + 1)
    return {
        "texts_a_query": {"ours": encoded[0] / queries, "rival": encoded[1] / queries},
        "ms_a_query": {name: float(np.median(taken)) / QUERIES * 1e3 for name, taken in times.items()},
        "times_faster": harness.ratio(times, "rival", "ours"),
        "aselect_to_aroute": at_once,
    }


def _at_once(choices: list[ToolMetadata], routes: dict[str, list[str]], blocks: list[list[str]]) -> float:
    """Time of 200 ``aselect`` at once as a multiple of 200 ``aroute`` of the same router."""
    with harness.open_router({choice.name: routes[choice.name] for choice in choices if choice.name}) as router:
        selector = SemanticRouteSelector(router, fallback="best")
        turns = {name: iter(blocks) for name in ("aselect", "aroute")}

        async def all_of(name: str) -> None:
            texts = next(turns[name])
            if name == "aroute":
                await asyncio.gather(*[router.aroute(text) for text in texts])
            else:
                await asyncio.gather(*[selector.aselect(choices, text) for text in texts])

        times = harness.in_turn({name: lambda name=name: asyncio.run(all_of(name)) for name in turns}, ROUNDS)
    return harness.ratio(times, "aselect", "aroute")


# --- right and wrong ----------------------------------------------------------------------------


def answers(folder: Path, encoder: Counting) -> dict[str, Any]:
    """One tool for each domain of clinc150, test split: zero-shot, with utterances, and the rival."""
    choices = [ToolMetadata(description=text, name=name) for name, text in DESCRIPTIONS.items()]
    rows = by_domain(folder, datasets.read(folder, "clinc150/test"))
    outside = datasets.read(folder, "clinc150/ood_test")
    utterances: dict[str, list[str]] = defaultdict(list)
    for text, domain in by_domain(folder, datasets.sample(datasets.read(folder, "clinc150/train"), UTTERANCES)):
        utterances[domain].append(text)
    found = {}
    for name, given in (("zero-shot", None), (f"{UTTERANCES} utterances an intent", dict(utterances))):
        # "best" shows both: what it would answer if it had to, and in the decision whether it would.
        with SemanticRouteSelector.from_choices(choices, encoder=encoder, utterances=given, fallback="best") as ours:
            found[name] = _ours(ours, choices, rows, outside)
    rival = EmbeddingSingleSelector.from_defaults(SynaptoRouteEmbedding(encoder))
    chosen = [choices[rival.select(choices, text).ind].name for text, _ in rows]
    right = float(np.mean([name == label for name, (_, label) in zip(chosen, rows, strict=True)]))
    found["EmbeddingSingleSelector"] = {
        "accuracy": right,
        "answered": 1.0,
        "error_among_answered_in_scope": 1.0 - right,
        "wrong_answers_in_scope": round((1.0 - right) * len(rows)),
        "wrong_answers_out_of_scope": len(outside),  # it always answers
    }
    return {"in_scope": len(rows), "out_of_scope": len(outside), **found}


def _ours(
    selector: SemanticRouteSelector, choices: list[ToolMetadata], rows: datasets.Rows, outside: datasets.Rows
) -> dict[str, Any]:
    results: list[Any] = [selector.select(choices, text) for text, _ in rows]
    right = np.array([choices[result.ind].name == label for result, (_, label) in zip(results, rows, strict=True)])
    answered = np.array([bool(result.decision) for result in results])
    others: list[Any] = [selector.select(choices, text) for text, _ in outside]
    return {
        "accuracy": float(right.mean()),
        "answered": float(answered.mean()),
        "error_among_answered_in_scope": float((answered & ~right).sum() / answered.sum()),
        "wrong_answers_in_scope": int((answered & ~right).sum()),
        "wrong_answers_out_of_scope": sum(bool(result.decision) for result in others),
    }


def main() -> None:
    """Measure and save."""
    folder = harness.arguments(__doc__)
    encoder = Counting(remember=True)
    harness.save(
        "selecting",
        {"phrasing": phrasing(folder, encoder), "speed": speed(folder), "answers": answers(folder, encoder)},
    )


if __name__ == "__main__":
    main()
