"""How likely is an answer right, strangers included? Learned by leaving routes out.

A head is sure of the nearest of its routes even where a text belongs to none. So, several times over,
some routes are hidden, a head is trained on part of the others, and asked about what it has not seen:
texts of known routes, which it gets right or wrong, and texts of hidden routes, which should have been
refused. A logistic model of the head's answers, as seen from outside, learns to tell them apart; no
out-of-scope example is needed. Such examples are used where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from synaptoroute_core.head import judge_sight
from synaptoroute_core.learning.heads.evidence import Evidence, shares_of
from synaptoroute_core.learning.heads.prior import MEANS, PRIOR, SCALES
from synaptoroute_core.learning.heads.training import Material, Recipe, Trial

HIDDEN = 0.3
HELD_BACK = 0.25
MIN_ROUNDS, MAX_ROUNDS = 4, 12
WANTED_ANSWERS = 4_000
"""Rounds go on until about so many texts were asked."""
MAX_TRAINED, MAX_ASKED = 6_000, 3_000
"""Bounds on the texts of one round, which keep a fit of 15,000 utterances within a minute."""
FEWEST = 20
"""Known and hidden texts asked, below which the shipped acceptor is taken as it is."""
EXAMPLE_WEIGHT = 4.0
"""A labelled example is real traffic, an utterance what somebody thought that traffic would be."""
PRIOR_SPREAD = 0.3
"""Variance of a standardised weight around the shipped one."""
FEWEST_ROUTES = 3
"""With fewer, hiding one leaves nothing to choose between."""


def leave_routes_out(
    material: Material, strangers: Material | None, recipe: Recipe, seed: int, threads: int = 1
) -> Iterator[tuple[Evidence, float]]:
    """Ask heads about texts that they have not seen.

    Args:
        material: Utterances and in-scope examples.
        strangers: Out-of-scope examples, which each head is asked about too.
        recipe: How the heads are made.
        seed: Decides who is hidden.
        threads: Heads that are worked on at the same time.

    Yields:
        What each of them answered, and its share of the work; nothing if there are too few routes to hide one.
    """
    chooser = np.random.default_rng(seed)
    splits = [split for _ in range(MAX_ROUNDS) if (split := _split(material, chooser)) is not None]
    if not splits:
        return
    asked = len(splits[0][1]) + (0 if strangers is None else len(strangers))
    splits = splits[: max(MIN_ROUNDS, -(-WANTED_ANSWERS // asked))]

    def ask(split: tuple[NDArray[np.intp], NDArray[np.intp]]) -> Evidence:
        return _ask(material.take(split[0]), _joined(material.take(split[1]), strangers), recipe, seed)

    with ThreadPoolExecutor(threads) as pool:
        for evidence in pool.map(ask, splits):
            yield evidence, 1 / len(splits)


def _split(material: Material, chooser: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Rows to train on and rows to ask about."""
    routes = np.unique(material.labels)
    hides = round(HIDDEN * len(routes)) if len(routes) >= FEWEST_ROUTES else 0
    if not hides:
        return None
    hidden = np.isin(material.labels, chooser.permutation(routes)[:hides])
    trained, asked = np.zeros(len(material), np.bool_), hidden.copy()
    for rows in _rows_of_routes(material.labels, ~hidden):
        shuffled = chooser.permutation(rows)
        # An utterance stays with every route, to compare with; the others may be held back.
        first = shuffled[np.argmax(material.stored[shuffled])]
        others = shuffled[shuffled != first]
        held = round(HELD_BACK * len(rows)) if len(rows) > 1 else 0
        held = max(held, 1) if len(others) else 0
        asked[others[:held]] = True
        trained[np.append(others[held:], first)] = True
    return _thinned(trained, MAX_TRAINED, material.labels, chooser), _thinned(asked, MAX_ASKED, None, chooser)


def _rows_of_routes(labels: NDArray[np.intp], among: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    rows = np.flatnonzero(among)
    order = rows[np.argsort(labels[rows], kind="stable")]
    yield from np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _thinned(
    chosen: NDArray[np.bool_], most: int, labels: NDArray[np.intp] | None, chooser: np.random.Generator
) -> NDArray[np.intp]:
    """At most so many of the chosen rows; with labels, taken from the routes that have most."""
    rows = np.flatnonzero(chosen)
    if len(rows) <= most:
        return rows
    if labels is None:
        return np.sort(chooser.permutation(rows)[:most])
    return rows[thin(labels[rows], most, chooser)]


def thin(labels: NDArray[np.intp], most: int, chooser: np.random.Generator) -> NDArray[np.intp]:
    """At most about so many rows, with the same bound for every route: one per route at least.

    Rows that stand first in ``labels`` are not favoured.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    counts = np.sort(np.bincount(labels)[np.unique(labels)])
    bounds = np.arange(1, counts[-1] + 1)
    sizes = np.array([np.minimum(counts, bound).sum() for bound in bounds])
    bound = int(bounds[sizes <= most].max(initial=1))
    parts = [chooser.permutation(rows)[:bound] for rows in _rows_of_routes(labels, np.ones(len(labels), np.bool_))]
    return np.sort(np.concatenate(parts))


def _joined(asked: Material, strangers: Material | None) -> Material:
    if strangers is None:
        return asked
    return Material(
        names=asked.names,
        vectors=np.concatenate([asked.vectors, strangers.vectors]),
        bags=[*asked.bags, *strangers.bags],
        labels=np.concatenate([asked.labels, strangers.labels]),
        stored=np.concatenate([asked.stored, strangers.stored]),
    )


def _ask(trained: Material, asked: Material, recipe: Recipe, seed: int) -> Evidence:
    trial = Trial(trained, seed)
    sight = trial.see(trial.head(recipe), asked)
    judged = judge_sight(sight)
    ranked = np.sort(sight.scores, axis=1)
    labels = np.where(np.isin(asked.labels, trial.routes), asked.labels, -1)
    chosen, score_chosen = trial.routes[judged.best], trial.routes[sight.scores.argmax(axis=1)]
    return Evidence(
        features=judged.features,
        right=chosen == labels,
        stranger=labels < 0,
        weights=np.where(asked.stored, 1.0, EXAMPLE_WEIGHT),
        scores=ranked[:, -1].astype(np.float64),
        leads=(ranked[:, -1] - ranked[:, -2]).astype(np.float64),
        score_right=score_chosen == labels,
        labels=labels,
        chosen=chosen,
        score_chosen=score_chosen,
    )


def train_acceptor(evidence: Evidence | None, out_of_scope_share: float, texts: int) -> NDArray[np.float64]:
    """Weights of ``FEATURES`` and an intercept: logistic regression around the shipped weights.

    The shipped ones are the mean of a normal prior, so that they speak where there is little evidence.

    Args:
        evidence: Answers; None = there are none.
        out_of_scope_share: Share of strangers in real traffic, 0 to 1.
        texts: Distinct texts that there are. Where each is asked in several rounds, their answers are alike, and
            count together as one.
    """
    known = 0 if evidence is None else int((~evidence.stranger).sum())
    if evidence is None or known < FEWEST or len(evidence) - known < FEWEST:
        return _unscaled(PRIOR)
    rows = np.column_stack([(evidence.features - MEANS) / SCALES, np.ones(len(evidence))])
    shares = shares_of(evidence, out_of_scope_share) * min(1.0, texts / len(evidence))
    return _unscaled(fit_acceptor(rows, evidence.right, shares, PRIOR, PRIOR_SPREAD))


def fit_acceptor(
    rows: NDArray[np.float64],
    right: NDArray[np.bool_],
    shares: NDArray[np.float64],
    prior: NDArray[np.float64],
    spread: float,
) -> NDArray[np.float64]:
    """Logistic regression with a normal prior on its weights.

    Args:
        rows: Standardised features and a column of ones: shape (texts, features + 1).
        right: What is to be foretold: shape (texts,).
        shares: What each text counts: shape (texts,).
        prior: Mean of the weights: shape (features + 1,).
        spread: Their variance.
    """
    from scipy.optimize import minimize

    outcomes = right.astype(np.float64)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits, moved = rows @ weights, weights - prior
        errors = 1 / (1 + np.exp(-logits.clip(-500, 500))) - outcomes
        value = shares @ (np.logaddexp(0, logits) - outcomes * logits) + moved @ moved / (2 * spread)
        return float(value), rows.T @ (shares * errors) + moved / spread

    return np.asarray(minimize(loss, prior, jac=True, method="L-BFGS-B").x)


def _unscaled(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights for features as they are, from weights for standardised ones."""
    plain = weights[:-1] / SCALES
    return np.append(plain, weights[-1] - plain @ MEANS)
