"""What is known of an encoder elsewhere."""

from __future__ import annotations

from synaptoroute_core.frozen import FrozenModel


class RemoteEncoder(FrozenModel):
    """The encoder of a service: enough to tell whether vectors may be compared. It cannot encode here.

    Attributes:
        fingerprint: Names model, files, pooling and length limit.
        dim: Length of a vector.
        batch_invariant: A text's vector does not depend on the texts encoded beside it.
    """

    fingerprint: str
    dim: int
    batch_invariant: bool
