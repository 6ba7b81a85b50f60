"""SynaptoRoute: local semantic routing that says "I don't know" when it should.

>>> from synaptoroute_core import AdaptiveRouter, Route
>>> with AdaptiveRouter([Route("refund", ["I want my money back"])]) as router:
...     router.route("please refund me").route
'refund'
"""

from synaptoroute_core.changes import (
    AddUtterances,
    Change,
    DropRoutes,
    DropUtterances,
    EncodedRoute,
    Feed,
    PutRoutes,
    SetThresholds,
)
from synaptoroute_core.choices import Choices
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.encoders import BundledEncoder, Encoder, FastEmbedEncoder, HashingEncoder
from synaptoroute_core.errors import (
    ConfigurationError,
    EncoderError,
    EncoderMismatchError,
    InvalidTextError,
    NoRouteError,
    RouteExistsError,
    RouteNotFoundError,
    RouterClosedError,
    RouterOverloadedError,
    RouterTimeoutError,
    StorageError,
    SynaptoRouteError,
)
from synaptoroute_core.files import load_routes, save_routes
from synaptoroute_core.learning import Confusion, EvaluationReport, Mistake, RouteQuality, evaluate_decisions
from synaptoroute_core.options import RouteOptions
from synaptoroute_core.router import AdaptiveRouter
from synaptoroute_core.storage import SqliteStore, Store
from synaptoroute_core.types import (
    Candidate,
    Decision,
    Example,
    Explanation,
    Neighbour,
    Receipt,
    Route,
    RouterStats,
)

__all__ = [
    "AdaptiveRouter",
    "AddUtterances",
    "BundledEncoder",
    "Candidate",
    "Change",
    "Choices",
    "ConfigurationError",
    "Confusion",
    "Decision",
    "DropRoutes",
    "DropUtterances",
    "EncodedRoute",
    "Encoder",
    "EncoderError",
    "EncoderMismatchError",
    "EvaluationReport",
    "Example",
    "Explanation",
    "FastEmbedEncoder",
    "Feed",
    "HashingEncoder",
    "InvalidTextError",
    "Mistake",
    "Neighbour",
    "NoRouteError",
    "PutRoutes",
    "Receipt",
    "Route",
    "RouteExistsError",
    "RouteNotFoundError",
    "RouteOptions",
    "RouteQuality",
    "RouterClosedError",
    "RouterConfig",
    "RouterOverloadedError",
    "RouterStats",
    "RouterTimeoutError",
    "SetThresholds",
    "SqliteStore",
    "StorageError",
    "Store",
    "SynaptoRouteError",
    "evaluate_decisions",
    "load_routes",
    "save_routes",
]
