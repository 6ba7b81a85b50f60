"""The acceptor that is shipped: for routers with too few routes or utterances to learn one of their own.

Prints the constants of ``learning/heads/prior.py``: what leaving routes out of the train splits of the four public
data sets teaches, each task with the same weight. Validation and test splits are not touched.
"""

from __future__ import annotations

import datasets
import numpy as np
from threadpoolctl import threadpool_limits

from synaptoroute_core import BundledEncoder
from synaptoroute_core.encoders import encode_texts
from synaptoroute_core.head import FEATURES
from synaptoroute_core.learning.heads.choosing import DEFAULT
from synaptoroute_core.learning.heads.confidence import fit_acceptor, leave_routes_out
from synaptoroute_core.learning.heads.evidence import Evidence, shares_of
from synaptoroute_core.learning.heads.making import OUT_OF_SCOPE_SHARE
from synaptoroute_core.learning.heads.training import Material
from synaptoroute_core.lexical import bag_of

TASKS = (
    ("clinc150", 5),
    ("clinc150", 20),
    ("clinc150", 100),
    ("banking77", 10),
    ("banking77", 50),
    ("bitext_customer_support", 10),
    ("bitext_customer_support", 60),
    ("hint3_curekart", None),
)
WIDE = 10.0
"""Variance of a weight around 0: hardly a restraint with so much evidence."""


def material(rows: datasets.Rows, encoder: BundledEncoder) -> Material:
    """Labelled texts to learn from."""
    names = sorted({label for _, label in rows})
    texts = [text for text, _ in rows]
    return Material(
        names=tuple(names),
        vectors=encode_texts(encoder, texts, threads=2),
        bags=[bag_of(text) for text in texts],
        labels=np.array([names.index(label) for _, label in rows]),
        stored=np.ones(len(rows), np.bool_),
    )


def main() -> None:
    """Gather evidence, fit, print."""
    folder = datasets.require(datasets.parser(__doc__).parse_args().data)
    encoder = BundledEncoder()
    found = []
    with threadpool_limits(1):
        for name, count in TASKS:
            rows = datasets.sample(datasets.read(folder, f"{name}/train"), count)
            parts = [part for part, _ in leave_routes_out(material(rows, encoder), None, DEFAULT, 0, threads=2)]
            found.append(Evidence.joined(parts))
    weights = np.concatenate([shares_of(each, OUT_OF_SCOPE_SHARE) / len(each) for each in found])
    evidence = Evidence.joined(found)
    means = np.average(evidence.features, axis=0, weights=weights)
    scales = np.sqrt(np.average((evidence.features - means) ** 2, axis=0, weights=weights))
    rows = np.column_stack([(evidence.features - means) / scales, np.ones(len(evidence))])
    fitted = fit_acceptor(rows, evidence.right, weights * len(evidence) / weights.sum(), np.zeros(rows.shape[1]), WIDE)
    print(f"| {'feature':16} | mean | scale | weight |")
    for name, mean, scale, weight in zip(FEATURES, means, scales, fitted[:-1], strict=True):
        print(f"| {name:16} | {mean:.4g} | {scale:.4g} | {weight:.3f} |")
    print(f"intercept {fitted[-1]:.3f}")


if __name__ == "__main__":
    main()
