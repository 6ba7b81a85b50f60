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
    SetFits,
    SetThresholds,
)
from synaptoroute_core.choices import Choices
from synaptoroute_core.config import RouterConfig
from synaptoroute_core.contact import SyncStatus
from synaptoroute_core.encoders import BundledEncoder, Encoder, FastEmbedEncoder, HashingEncoder
from synaptoroute_core.errors import (
    CommitUncertainError,
    ConfigurationError,
    EncoderError,
    EncoderMismatchError,
    InvalidTextError,
    NoRouteError,
    RevisionConflictError,
    RouteExistsError,
    RouteNotFoundError,
    RouterClosedError,
    RouterOverloadedError,
    RouterTimeoutError,
    StorageError,
    SynaptoRouteError,
)
from synaptoroute_core.feedback import FeedbackLog, FeedbackRecord
from synaptoroute_core.files import load_routes, save_routes
from synaptoroute_core.fits import Fit
from synaptoroute_core.head import Head
from synaptoroute_core.learning.audit.findings import AuditReport, Finding
from synaptoroute_core.learning.audit.suggesting import Suggestion
from synaptoroute_core.learning.evaluation.comparing import ComparisonReport, Delta, Flip
from synaptoroute_core.learning.evaluation.evaluating import EvaluationReport, evaluate_decisions
from synaptoroute_core.learning.evaluation.judging import Confusion, JudgedText, Missed, Mistake, RouteQuality
from synaptoroute_core.learning.evaluation.measuring import CalibrationBin, Latency, Savings
from synaptoroute_core.learning.feedback.drafting import Edit
from synaptoroute_core.learning.feedback.proposing import Proposal
from synaptoroute_core.learning.feedback.trying import LeftOut
from synaptoroute_core.learning.reports import FitReport, HeldOut, Report
from synaptoroute_core.learning.thresholds.calibration import CalibrationReport
from synaptoroute_core.lexical import LexicalRow, Lexicon
from synaptoroute_core.observing import BatchReport
from synaptoroute_core.options import RouteOptions
from synaptoroute_core.protocols import InspectableRouter, Router
from synaptoroute_core.router import AdaptiveRouter
from synaptoroute_core.storage import RemoteStore, SqliteStore, Store
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
    "AuditReport",
    "BatchReport",
    "BundledEncoder",
    "CalibrationBin",
    "CalibrationReport",
    "Candidate",
    "Change",
    "Choices",
    "CommitUncertainError",
    "ComparisonReport",
    "ConfigurationError",
    "Confusion",
    "Decision",
    "Delta",
    "DropRoutes",
    "DropUtterances",
    "Edit",
    "EncodedRoute",
    "Encoder",
    "EncoderError",
    "EncoderMismatchError",
    "EvaluationReport",
    "Example",
    "Explanation",
    "FastEmbedEncoder",
    "Feed",
    "FeedbackLog",
    "FeedbackRecord",
    "Finding",
    "Fit",
    "FitReport",
    "Flip",
    "HashingEncoder",
    "Head",
    "HeldOut",
    "InspectableRouter",
    "InvalidTextError",
    "JudgedText",
    "Latency",
    "LeftOut",
    "LexicalRow",
    "Lexicon",
    "Missed",
    "Mistake",
    "Neighbour",
    "NoRouteError",
    "Proposal",
    "PutRoutes",
    "Receipt",
    "RemoteStore",
    "Report",
    "RevisionConflictError",
    "Route",
    "RouteExistsError",
    "RouteNotFoundError",
    "RouteOptions",
    "RouteQuality",
    "Router",
    "RouterClosedError",
    "RouterConfig",
    "RouterOverloadedError",
    "RouterStats",
    "RouterTimeoutError",
    "Savings",
    "SetFits",
    "SetThresholds",
    "SqliteStore",
    "StorageError",
    "Store",
    "Suggestion",
    "SynaptoRouteError",
    "SyncStatus",
    "evaluate_decisions",
    "load_routes",
    "save_routes",
]
