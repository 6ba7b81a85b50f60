"""Labelled texts as a router left them, made up."""

import numpy as np

from synaptoroute_core.learning.thresholds.outcomes import Outcomes


def outcomes(rows, routes=2):
    """Outcomes of rows (best, sureness, label) or (best, sureness, label, clear); -1 = none."""
    columns = list(zip(*((*row, True)[:4] for row in rows), strict=True)) or [(), (), (), ()]
    best, sureness, label, clear = columns
    return Outcomes(
        names=tuple("abcdefgh"[:routes]),
        best=np.array(best, np.intp),
        sureness=np.array(sureness, np.float64),
        clear=np.array(clear, np.bool_),
        label=np.array(label, np.intp),
    )


def population(seed, texts, routes=8, spread=0.1, outside=0.2):
    """Texts of routes whose scores lie higher or lower, so that each has another best threshold."""
    random = np.random.default_rng(seed)
    label = np.where(random.random(texts) < outside, -1, random.integers(0, routes, texts))
    lost = (label < 0) | (random.random(texts) < 0.1)
    best = np.where(lost, random.integers(0, routes, texts), label)
    level = np.where(best == label, 0.65, 0.45) + np.linspace(-spread, spread, routes)[best]
    return Outcomes(
        names=tuple(f"r{number}" for number in range(routes)),
        best=best,
        sureness=np.clip(level + random.normal(0, 0.08, texts), -1, 1),
        clear=random.random(texts) < 0.95,
        label=label,
    )
