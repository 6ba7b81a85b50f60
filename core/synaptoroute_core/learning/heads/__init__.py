"""From utterances to a fitted head. Needs scikit-learn; what comes out needs numpy alone."""

from synaptoroute_core.learning.heads.making import HeadRequest, MadeHead, make_head, retrain_head, rule_of_similarity
from synaptoroute_core.learning.heads.running import showing, training

__all__ = ["HeadRequest", "MadeHead", "make_head", "retrain_head", "rule_of_similarity", "showing", "training"]
