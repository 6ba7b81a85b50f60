"""Labelling many texts: over the processes of Ray, Spark or Dask, or from file to file.

Nothing here imports any of them: :class:`RouteBatch` is a function of batches, which they are handed. Files are read
and written by :mod:`synaptoroute_integrations.bulk.files`, which needs the extra ``bulk``.
"""

from __future__ import annotations

from synaptoroute_integrations.bulk.batches import RouteBatch
from synaptoroute_integrations.bulk.frozen import FrozenRoutes

__all__ = ["FrozenRoutes", "RouteBatch"]
