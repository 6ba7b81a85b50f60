"""How should the head be made? Decided on utterances held back, for each set of routes anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.head import Head, Sight
from synaptoroute_core.learning.heads.confidence import thin
from synaptoroute_core.learning.heads.training import Material, Recipe, Trial, blended

DEFAULT = Recipe()
OTHER_WEIGHT = 0.8
BLENDS = (0.0, 3.0, 6.0, 10.0, 15.0, 20.0)
TEMPERATURES = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
HELD_BACK = 0.2
MAX_TRAINED, MAX_JUDGED = 6_000, 2_000
WANTED_TEXTS = 1_500
MAX_FOLDS = 5
FEWEST = 30
"""Texts held back, below which chance would choose."""
CORRUPTED_SHARE = 0.25
"""What a right answer to a text with typing errors counts beside one to a clean text."""
CERTAIN = 2.0
"""Standard errors by which copies must gain on texts with typing errors."""

Hits = tuple[NDArray[np.bool_], NDArray[np.bool_]]
"""Whether each clean text was answered right, and each text with typing errors (none without copies)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A recipe and what spoke for it.

    Attributes:
        recipe: The recipe.
        accuracy: Its accuracy on clean texts held back; None if there were too few to choose by.
        corrupted: The same with typing errors; None without copies.
        judged: Texts held back.
    """

    recipe: Recipe
    accuracy: float | None
    corrupted: float | None
    judged: int


def choose_recipe(material: Material, seed: int, step: Callable[[float], None], threads: int = 1) -> Choice:
    """Compare recipes on texts held back from each route that can spare some.

    Copies with typing errors, then more weight for the letters: each must gain more right answers than
    its standard error, so that chance does not choose where there are few texts, and copies must cost
    nothing on clean ones. The blend is chosen by log loss, whose differences are much less noisy
    than those of right answers, at whatever temperature suits it best.

    Args:
        material: Utterances and in-scope examples, with copies if those are to be considered.
        seed: Decides what is held back.
        step: Called with the share of the work that was done since.
        threads: Folds that are worked on at the same time.
    """
    chooser = np.random.default_rng(seed)
    folds = [_hold_back(material, chooser) for _ in range(MAX_FOLDS)]
    folds = folds[: -(-WANTED_TEXTS // max(1, len(folds[0])))]
    judged = sum(map(len, folds))
    if judged < FEWEST:
        step(1.0)
        return Choice(DEFAULT, None, None, judged)
    with ThreadPoolExecutor(threads) as pool:
        trials = list(pool.map(lambda rows: _Fold(material, rows, seed), folds))
        table = _Table(trials, pool)
        best = _try_copies(table) if material.copies is not None else DEFAULT
        step(0.6)
        best = table.better(best, replace(best, lexical_weight=OTHER_WEIGHT))
        step(0.4)
        best = min((replace(best, blend=blend) for blend in BLENDS), key=table.loss)
        clean, corrupted = table[best]
    return Choice(best, float(clean.mean()), float(corrupted.mean()) if len(corrupted) else None, judged)


class _Fold:
    """One division of the texts, and the heads made of its larger part."""

    def __init__(self, material: Material, held: NDArray[np.intp], seed: int) -> None:
        kept = np.setdiff1d(np.arange(len(material)), held)
        kept = kept[thin(material.labels[kept], MAX_TRAINED, np.random.default_rng(seed))]
        self._trial, self._asked = Trial(material.take(kept), seed), material.take(held)
        self._seen: dict[Recipe, list[tuple[Head, Sight]]] = {}

    def hits(self, recipe: Recipe) -> Hits:
        """Which texts a head of this recipe answers right."""
        found = [self._trial.routes[logits.argmax(axis=1)] == self._asked.labels for logits in self._logits(recipe)]
        return found[0], found[1] if len(found) > 1 else np.empty(0, np.bool_)

    def loss(self, recipe: Recipe) -> float:
        """Sum over the clean texts of the log loss of a head of this recipe, at the best temperature."""
        known = np.isin(self._asked.labels, self._trial.routes)
        clean, places = self._logits(recipe)[0][known], np.searchsorted(self._trial.routes, self._asked.labels[known])
        return min(_log_loss(clean / temperature, places) for temperature in TEMPERATURES)

    def _logits(self, recipe: Recipe) -> list[NDArray[np.float64]]:
        base = replace(recipe, blend=DEFAULT.blend)
        if base not in self._seen:
            head = self._trial.head(base)
            both = [each for each in (self._asked, self._asked.copies) if each is not None]
            self._seen[base] = [(head, self._trial.see(head, each)) for each in both]
        return [blended(head, sight, recipe.blend) for head, sight in self._seen[base]]


def _log_loss(logits: NDArray[np.float64], places: NDArray[np.intp]) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    return float((log_sums - shifted[np.arange(len(places)), places]).sum())


class _Table:
    """Which texts each recipe answers right; a recipe is tried when it is first asked for."""

    def __init__(self, trials: Sequence[_Fold], pool: ThreadPoolExecutor) -> None:
        self._trials, self._pool = trials, pool
        self._hits: dict[Recipe, Hits] = {}

    def __getitem__(self, recipe: Recipe) -> Hits:
        if recipe not in self._hits:
            found = list(self._pool.map(lambda trial: trial.hits(recipe), self._trials))
            clean, corrupted = zip(*found, strict=True)
            self._hits[recipe] = np.concatenate(clean), np.concatenate(corrupted)
        return self._hits[recipe]

    def loss(self, recipe: Recipe) -> float:
        """Log loss on all clean texts."""
        return sum(trial.loss(recipe) for trial in self._trials)

    def better(self, now: Recipe, other: Recipe) -> Recipe:
        """The other one if it gains more than the standard error of the gain."""
        gain = _worth(self[other]) - _worth(self[now])
        clean, corrupted = (_error(first, second) for first, second in zip(self[other], self[now], strict=True))
        return other if gain > np.hypot(clean, CORRUPTED_SHARE * corrupted) else now


def _worth(hits: Hits) -> float:
    clean, corrupted = hits
    return float(clean.sum() + CORRUPTED_SHARE * corrupted.sum())


def _error(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Standard error of the difference between two numbers of right answers to the same texts (as McNemar's)."""
    return float(np.sqrt((first != second).sum()))


def _try_copies(table: _Table) -> Recipe:
    other = replace(DEFAULT, copies=True)
    (clean, corrupted), (other_clean, other_corrupted) = table[DEFAULT], table[other]
    cost = int(clean.sum()) - int(other_clean.sum())
    gain = int(other_corrupted.sum()) - int(corrupted.sum())
    costs_nothing = cost <= _error(clean, other_clean) / CERTAIN
    return other if costs_nothing and gain > CERTAIN * _error(corrupted, other_corrupted) else DEFAULT


def _hold_back(material: Material, chooser: np.random.Generator) -> NDArray[np.intp]:
    """Rows to judge by; of each route, its share, but never the only utterance."""
    rows = chooser.permutation(len(material))
    rows = rows[np.argsort(material.labels[rows], kind="stable")]
    parts = np.split(rows, np.flatnonzero(np.diff(material.labels[rows])) + 1)
    held = []
    for part in parts:
        spared = np.argmax(material.stored[part])
        others = np.delete(part, spared)
        held.append(others[: max(1, round(HELD_BACK * len(part)))])
    together = np.concatenate(held)
    return together[thin(material.labels[together], MAX_JUDGED, chooser)]
