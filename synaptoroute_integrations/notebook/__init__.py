"""Routers, evaluations and data frames in notebooks: pictures, a playground, and routing by the column.

>>> from synaptoroute_core import AdaptiveRouter, HashingEncoder, Route
>>> from synaptoroute_integrations.notebook import similarity_heatmap
>>> routes = [Route("refund", ["I want my money back"]), Route("parcel", ["where is my parcel"])]
>>> with AdaptiveRouter(routes, encoder=HashingEncoder()) as router:
...     picture = similarity_heatmap(router)
>>> picture.chart.title
"Cosine similarity of the routes' centroids"

Nothing is imported before it is used, least of all plotly, matplotlib, ipywidgets and pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synaptoroute_integrations.notebook.evaluations import (
        calibration_curve,
        confusion_matrix,
        risk_coverage,
        score_histograms,
        threshold_curves,
    )
    from synaptoroute_integrations.notebook.frames import (
        aroute_frame,
        examples_from_csv,
        examples_from_dataframe,
        from_csv,
        route_frame,
        routes_from_dataframe,
    )
    from synaptoroute_integrations.notebook.maps import intent_map, similarity_heatmap
    from synaptoroute_integrations.notebook.measurements import latency_distribution, learning_curve
    from synaptoroute_integrations.notebook.picture import Picture
    from synaptoroute_integrations.notebook.playing import playground

__all__ = [
    "Picture",
    "aroute_frame",
    "calibration_curve",
    "confusion_matrix",
    "examples_from_csv",
    "examples_from_dataframe",
    "from_csv",
    "intent_map",
    "latency_distribution",
    "learning_curve",
    "playground",
    "risk_coverage",
    "route_frame",
    "routes_from_dataframe",
    "score_histograms",
    "similarity_heatmap",
    "threshold_curves",
]

_MODULES = {
    "evaluations": ("calibration_curve", "confusion_matrix", "risk_coverage", "score_histograms", "threshold_curves"),
    "frames": (
        "aroute_frame",
        "examples_from_csv",
        "examples_from_dataframe",
        "from_csv",
        "route_frame",
        "routes_from_dataframe",
    ),
    "maps": ("intent_map", "similarity_heatmap"),
    "measurements": ("latency_distribution", "learning_curve"),
    "picture": ("Picture",),
    "playing": ("playground",),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
