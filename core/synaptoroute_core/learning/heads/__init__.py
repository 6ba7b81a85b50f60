"""From utterances to a fitted head. Needs scikit-learn; what comes out needs numpy alone."""

from synaptoroute_core.learning.heads.making import (
    HeadRequest,
    MadeHead,
    load_libraries,
    make_head,
    retrain_head,
    rule_of_similarity,
)

__all__ = ["HeadRequest", "MadeHead", "load_libraries", "make_head", "retrain_head", "rule_of_similarity"]
