"""Every argument of every public function is either used as what it is, or refused with an error that helps."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from evaluated import decided, evaluate
from misfits import misfits

from synaptoroute_core import AdaptiveRouter, ConfigurationError, HashingEncoder, Route, SynaptoRouteError
from synaptoroute_integrations import notebook
from synaptoroute_integrations.notebook import Picture

TEXTS = ["where is my parcel", "make me laugh"]
EXAMPLES = [("where is the parcel", "a"), ("tell a joke", "b")]
FRAME = pd.DataFrame({"text": TEXTS, "label": ["a", "b"]})
REPORT = evaluate(
    [
        ("a", decided("a", 0.9, confidence=0.9)),
        ("b", decided("a", 0.6, confidence=0.6)),
        ("c", decided("c", 0.7, confidence=0.7)),
        (None, decided("a", 0.2, confidence=0.2)),
    ]
)
FILE, PLACE, ROUTER = "<a CSV file>", "<a place for a picture>", "<a router>"
"""In the place of what is made for each test."""

FITTING = {
    "Picture": {"chart": notebook.confusion_matrix(REPORT).chart},
    "Picture.save": {"path": PLACE, "dark": False, "scale": 1.0},
    "Picture.static": {"dark": False},
    "calibration_curve": {"report": REPORT},
    "confusion_matrix": {"report": REPORT, "routes": None, "normalise": True},
    "examples_from_csv": {"path": FILE, "text": "text", "label": "label"},
    "examples_from_dataframe": {"frame": FRAME, "text": "text", "label": "label"},
    "from_csv": {"path": FILE, "text": "text", "label": "label"},
    "intent_map": {"router": ROUTER, "queries": (), "method": "pca", "coords": None, "seed": 0},
    "latency_distribution": {"router": ROUTER, "texts": TEXTS, "repeats": 1},
    "learning_curve": {
        "router": ROUTER,
        "examples": EXAMPLES,
        "sizes": (1, 2),
        "draws": 1,
        "fit": False,
        "progress": False,
    },
    "playground": {"router": ROUTER, "examples": ()},
    "risk_coverage": {"report": REPORT, "error": 0.02, "others": None},
    "route_frame": {
        "router": ROUTER,
        "frame": FRAME,
        "text": "text",
        "allowed": None,
        "batch_size": 1,
        "progress": False,
        "errors": "raise",
        "prefix": "",
    },
    "routes_from_dataframe": {"frame": FRAME, "text": "text", "label": "label"},
    "score_histograms": {"report": REPORT, "normalise": False},
    "similarity_heatmap": {"router": ROUTER},
    "threshold_curves": {"report": REPORT, "route": None},
}
"""Arguments that fit, of every function."""
FITTING["aroute_frame"] = FITTING["route_frame"]

FLAGS = {"true", "numpy_true"}
WHOLE = {"whole", "numpy_whole"}
LISTS_OF_NAMES = {"iterator", "array_of_texts", "column"}
USED = {
    ("Picture.save", "dark"): FLAGS,
    ("Picture.save", "scale"): {*WHOLE, "fraction"},
    ("Picture.static", "dark"): FLAGS,
    ("confusion_matrix", "normalise"): FLAGS,
    ("confusion_matrix", "routes"): {"None", *LISTS_OF_NAMES},
    ("intent_map", "coords"): {"None"},
    ("intent_map", "queries"): {"empty_list", "empty_iterator", *LISTS_OF_NAMES},
    ("intent_map", "seed"): WHOLE,
    ("latency_distribution", "repeats"): WHOLE,
    ("latency_distribution", "texts"): LISTS_OF_NAMES,
    ("learning_curve", "draws"): WHOLE,
    ("learning_curve", "fit"): FLAGS,
    ("learning_curve", "progress"): {"None", *FLAGS},
    ("learning_curve", "sizes"): {"list_of_numbers", "array_of_numbers"},
    ("playground", "examples"): {"empty_list", "empty_iterator"},
    ("risk_coverage", "others"): {"None"},
    ("route_frame", "allowed"): {"None", "empty_list", "empty_iterator", *LISTS_OF_NAMES},
    ("route_frame", "batch_size"): WHOLE,
    ("route_frame", "frame"): {"frame"},
    ("route_frame", "prefix"): {"text", "numpy_text", "empty_text"},
    ("route_frame", "progress"): {"None", *FLAGS},
    ("score_histograms", "normalise"): FLAGS,
    ("threshold_curves", "route"): {"None", "numpy_text"},
    **{(name, "frame"): {"frame"} for name in ("examples_from_dataframe", "routes_from_dataframe")},
}
"""Which of the misfits fit after all."""
USED |= {("aroute_frame", argument): names for (name, argument), names in USED.items() if name == "route_frame"}


def function_of(name):
    if name.startswith("Picture."):
        return getattr(Picture(FITTING["Picture"]["chart"]), name.removeprefix("Picture."))
    return getattr(notebook, name)


@pytest.fixture(scope="module")
def router():
    routes = [
        Route("a", ["where is my parcel", "is it late"]),
        Route("b", ["tell a joke", "laugh please"]),
        Route("c", ["i lost it", "the parcel is gone"]),
    ]
    with AdaptiveRouter(routes, encoder=HashingEncoder()) as opened:
        yield opened


@pytest.fixture
def made(router, tmp_path):
    """What is made for each test."""
    FRAME.to_csv(tmp_path / "texts.csv", index=False)
    return {FILE: tmp_path / "texts.csv", PLACE: tmp_path / "picture.png", ROUTER: router}


async def called(name, arguments, made):
    """The function's result, waited for."""
    found = {key: made.get(value, value) if isinstance(value, str) else value for key, value in arguments.items()}
    result = function_of(name)(**found)
    return await result if inspect.isawaitable(result) else result


def test_these_are_all_public_functions_and_all_their_arguments():
    assert {name.partition(".")[0] for name in FITTING} == set(notebook.__all__)
    for name, arguments in FITTING.items():
        assert list(inspect.signature(function_of(name)).parameters) == list(arguments)


@pytest.mark.parametrize(
    ("name", "argument"), [(name, argument) for name, arguments in FITTING.items() for argument in arguments]
)
async def test_an_argument_is_used_or_refused_with_its_value_and_a_remedy(name, argument, made):
    await called(name, FITTING[name], made)
    refused = {}
    for kind, value in misfits().items():
        try:
            await called(name, {**FITTING[name], argument: value}, made)
        except SynaptoRouteError as error:
            refused[kind] = str(error)
    assert misfits().keys() - refused.keys() == USED.get((name, argument), set())
    assert [said for said in refused.values() if not re.search(r"[:;,] \S", said)] == []


@pytest.mark.parametrize("kind", [list, tuple, iter, np.array, pd.Series, lambda names: dict.fromkeys(names).keys()])
def test_routes_of_a_confusion_matrix_can_come_in_any_collection(kind):
    chart = notebook.confusion_matrix(REPORT, routes=kind(["c", "a"])).chart
    assert chart.y.categories[:2] == ("c", "a")
    assert np.nansum(chart.layers[0].values) > 0


@pytest.mark.parametrize("routes", [[], iter([]), np.array([]), 5, "a", {"a": 1}])
def test_what_is_no_list_of_routes_is_refused_and_named(routes):
    with pytest.raises(ConfigurationError, match=r"^routes = .*: give a list of one or more names of routes, or None"):
        notebook.confusion_matrix(REPORT, routes=routes)


@pytest.mark.parametrize("kind", [iter, np.array, pd.Series, set])
def test_sizes_of_a_learning_curve_can_come_in_any_collection(router, kind):
    picture = notebook.learning_curve(router, EXAMPLES, sizes=kind([2, 1]), draws=1, progress=False)
    assert picture.chart.layers[0].x.tolist() == [1, 2]


@pytest.mark.parametrize("sizes", [None, 4, [], iter([])])
def test_what_is_no_list_of_sizes_is_refused_and_named(router, sizes):
    with pytest.raises(ConfigurationError, match=r"^sizes = .*: give a list of one or more whole numbers"):
        notebook.learning_curve(router, EXAMPLES, sizes=sizes, progress=False)


def test_places_on_a_map_can_come_from_an_iterator(router):
    places = np.arange(12.0).reshape(6, 2)
    drawn = notebook.intent_map(router, coords=iter(places.tolist())).chart.layers
    assert [layer.x.tolist() for layer in drawn[:3]] == [[0, 2], [4, 6], [8, 10]]


def test_a_number_of_another_kind_is_no_scale(tmp_path):
    with pytest.raises(ConfigurationError, match=r"^scale = '2': use a number above 0 and up to 10"):
        Picture(FITTING["Picture"]["chart"]).save(tmp_path / "picture.png", scale="2")
