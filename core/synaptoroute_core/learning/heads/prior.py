"""The shipped acceptor: what leaving routes out of four public data sets taught about answers in general.

It speaks where a router has too few routes or utterances to learn an acceptor of its own, and is the
mean that a learned one is drawn to. ``benchmarks/acceptor.py`` prints it, from the train splits of
clinc150, banking77, bitext and hint3_curekart, with the bundled model. Models that put cosines on another
scale are served less well by it.
"""

from __future__ import annotations

import numpy as np

from synaptoroute_core.head import FEATURES

_TABLE = {
    # mean, scale, weight of the standardised feature
    "odds": (2.546, 2.33, 1.282),
    "log_probability": (-0.3117, 0.483, 0.356),
    "log_sum": (8.786, 2.306, -0.032),
    "logit": (8.475, 2.624, 0.037),
    "nearest": (0.7318, 0.172, 0.024),
    "centre": (0.6618, 0.16, 0.253),
    "score": (0.7064, 0.1596, 0.172),
    "score_lead": (0.1707, 0.1342, 0.493),
    "nearest_gap": (0.008263, 0.02827, 0.119),
    "covered": (0.7577, 0.1329, -0.010),
    "unknown": (0.09296, 0.1491, -0.086),
    "words": (2.195, 0.4384, 0.005),
}
_INTERCEPT = 1.927

MEANS, SCALES, _WEIGHTS = np.array([_TABLE[name] for name in FEATURES]).T
PRIOR = np.append(_WEIGHTS, _INTERCEPT)
"""Weights of the standardised features, then the intercept."""
