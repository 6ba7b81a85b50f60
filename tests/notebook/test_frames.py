"""Decisions on the texts of a data frame."""

import asyncio

import numpy as np
import pandas as pd
import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    Decision,
    InvalidTextError,
    Route,
    RouteNotFoundError,
    RouterClosedError,
    RouterConfig,
)
from synaptoroute_integrations.notebook import filling
from synaptoroute_integrations.notebook.frames import (
    aroute_frame,
    route_frame,
)

ADDED = ["route", "score", "margin", "confidence", "reason", "candidate", "utterance"]
ROUTES = (
    Route("refund", ["I want my money back", "refund me please"]),
    Route("greet", ["hello there", "good morning"]),
)
TEXTS = ["refund me please", "hello there", "quantum chromodynamics", "good morning", "I want my money back"]
WORDS = pd.Series([""]).dtype


@pytest.fixture
def router(hashing):
    with AdaptiveRouter(ROUTES, encoder=hashing) as opened:
        yield opened


@pytest.fixture
def totals(monkeypatch):
    """What the progress bars were told: the total of each that was shown, and how far it came."""
    shown = []

    class Recorded(filling.tqdm):
        def close(self):
            if not self.disable:
                shown.append((self.total, self.n))
            super().close()

    monkeypatch.setattr(filling, "tqdm", Recorded)
    return shown


def columns_of(decision):
    best = decision.candidates[0] if decision.candidates else None
    return {
        **{name: getattr(decision, name) for name in ("route", "score", "margin", "confidence", "reason")},
        "candidate": best and best.route,
        "utterance": best and best.utterance,
    }


def rows_of(frame, prefix=""):
    """The new columns row by row, with None for what is missing."""
    found = frame[[prefix + name for name in ADDED]].rename(columns=lambda name: name.removeprefix(prefix))
    return found.astype(object).where(found.notna(), None).to_dict("records")


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_every_row_gets_the_decision_that_its_text_gets_alone(router, batch_size):
    frame = pd.DataFrame({"id": range(5), "text": TEXTS})
    found = route_frame(router, frame, batch_size=batch_size)
    assert list(found.columns) == ["id", "text", *ADDED]
    assert rows_of(found) == [columns_of(router.route(text)) for text in TEXTS]
    assert rows_of(found)[2]["route"] is None
    assert list(frame.columns) == ["id", "text"]


async def test_the_awaitable_twin_gives_the_same_while_the_loop_goes_on(router):
    frame = pd.DataFrame({"text": TEXTS * 20})
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    found = await aroute_frame(router, frame, batch_size=10, allowed=["greet"])
    counting.cancel()
    assert turns > 1
    pd.testing.assert_frame_equal(found, route_frame(router, frame, allowed=["greet"]))


async def test_the_blocking_one_works_inside_a_running_loop(router):
    assert route_frame(router, pd.DataFrame({"text": TEXTS}))["route"][1] == "greet"


@pytest.mark.parametrize("kind", [object, "string", "category", WORDS])
def test_a_column_of_every_kind_of_text_can_be_routed(router, kind):
    frame = pd.DataFrame({"text": pd.Series(TEXTS, dtype=object).astype(kind)})
    found = route_frame(router, frame, batch_size=2)
    assert found["route"].tolist()[:2] == ["refund", "greet"]
    assert found["text"].dtype == frame["text"].dtype
    assert {str(found[name].dtype) for name in ("route", "reason", "candidate", "utterance")} == {str(WORDS)}
    assert {str(found[name].dtype) for name in ("score", "margin", "confidence")} == {"float64"}


@pytest.mark.parametrize(
    "index",
    [
        pytest.param([7, 7, 7, 8, 8], id="repeated"),
        pytest.param(pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1), ("b", 1), ("c", 1)]), id="of levels"),
        pytest.param(pd.date_range("2024-01-01", periods=5), id="dates"),
        pytest.param([None, np.nan, "x", "x", 3], id="mixed"),
        pytest.param([4, 3, 2, 1, 0], id="falling"),
    ],
)
def test_an_index_of_any_kind_is_kept_and_rows_stay_in_their_places(router, index):
    frame = pd.DataFrame({"text": TEXTS}, index=index)
    found = route_frame(router, frame, batch_size=2)
    pd.testing.assert_index_equal(found.index, frame.index)
    assert rows_of(found) == [columns_of(router.route(text)) for text in TEXTS]


def test_columns_of_several_levels_are_kept(router):
    frame = pd.DataFrame({("chat", "text"): TEXTS, ("chat", "time"): range(5)})
    found = route_frame(router, frame, ("chat", "text"))
    assert found["route"].tolist()[:2] == ["refund", "greet"]
    assert list(found.columns)[:3] == [("chat", "text"), ("chat", "time"), ("route", "")]


def test_an_empty_frame_gets_empty_columns(router):
    found = route_frame(router, pd.DataFrame({"text": pd.Series([], dtype=object)}))
    assert (len(found), list(found.columns)) == (0, ["text", *ADDED])


def test_only_allowed_routes_are_chosen(router):
    frame = pd.DataFrame({"text": TEXTS})
    assert set(route_frame(router, frame, allowed=["greet"])["candidate"]) == {"greet"}
    extra = router.choices(["greet"], [Route("physics", ["quantum chromodynamics"])])
    assert route_frame(router, frame, allowed=extra)["route"][2] == "physics"
    with pytest.raises(RouteNotFoundError, match="'gret'; did you mean 'greet'"):
        route_frame(router, frame, allowed=["gret"], errors="keep")


def test_columns_that_are_there_already_are_never_overwritten(router):
    frame = pd.DataFrame({"text": TEXTS, "route": "truth", "score": 1, "error": "mine"})
    with pytest.raises(ConfigurationError, match=r"of the names 'route', 'score': give prefix='routed_'"):
        route_frame(router, frame)
    with pytest.raises(ConfigurationError, match="of the names 'route', 'score', 'error'"):
        route_frame(router, frame, errors="keep")
    found = route_frame(router, frame, prefix="got_")
    assert rows_of(found, "got_") == [columns_of(router.route(text)) for text in TEXTS]
    assert found["route"].tolist() == ["truth"] * 5


def test_missing_texts_are_refused_before_anything_is_routed(router):
    frame = pd.DataFrame({"text": [*TEXTS, None]})
    with pytest.raises(ConfigurationError, match=r"missing in the column 'text', in row 5: .*or pass errors='keep'"):
        route_frame(router, frame, batch_size=1)
    assert router.stats().encoded == 0


def test_a_text_that_cannot_be_used_is_refused_with_its_row(router):
    frame = pd.DataFrame({"text": ["hello there", "  "]}, index=["a", "b"])
    with pytest.raises(InvalidTextError, match=r"^row 'b': the query is blank"):
        route_frame(router, frame)


def test_kept_errors_stand_beside_the_rows_that_could_be_decided(router):
    frame = pd.DataFrame({"text": ["hello there", None, 7, " ", "good morning", pd.NA]}, dtype=object)
    found = route_frame(router, frame, errors="keep", batch_size=2)
    assert found["route"].astype(object).where(found["route"].notna(), None).tolist() == [
        "greet", None, None, None, "greet", None,
    ]  # fmt: skip
    assert found["error"].isna().tolist() == [True, False, False, False, True, False]
    assert found["error"][1] == found["error"][5] == "the text is missing"
    assert found["error"][2] == "the query must be a string, got int: 7"
    assert found["reason"].isna().tolist() == [False, True, True, True, False, True]
    assert list(found.columns) == ["text", *ADDED, "error"]


def test_an_error_of_the_router_as_a_whole_is_raised_even_if_errors_are_kept(hashing):
    with AdaptiveRouter(ROUTES, encoder=hashing) as router:
        pass
    with pytest.raises(RouterClosedError):
        route_frame(router, pd.DataFrame({"text": TEXTS}), errors="keep")


def test_an_error_of_one_text_says_its_row(hashing):
    class Choosy(type(hashing)):
        def encode(self, texts):
            if "quantum chromodynamics" in texts:
                raise ValueError("too small to see")
            return super().encode(texts)

    with AdaptiveRouter(ROUTES, encoder=Choosy()) as router:
        frame = pd.DataFrame({"text": TEXTS}, index=list("vwxyz"))
        with pytest.raises(Exception, match="too small to see") as caught:
            route_frame(router, frame)
        assert caught.value.__notes__ == ["in row 'x' of the frame"]
        assert route_frame(router, frame, errors="keep")["error"].notna().tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(
    "arguments",
    [{"errors": "ignore"}, {"batch_size": 0}, {"batch_size": True}, {"batch_size": 2.5}, {"prefix": None}],
)
def test_an_argument_that_is_not_valid_is_refused_by_name(router, arguments):
    (name,) = arguments
    with pytest.raises(ConfigurationError, match=f"{name} = "):
        route_frame(router, pd.DataFrame({"text": TEXTS}), **arguments)


def test_what_is_no_frame_is_refused(router):
    with pytest.raises(ConfigurationError, match=r"got list: .*; make one with pandas\.DataFrame\(\.\.\.\)$"):
        route_frame(router, TEXTS)


def test_what_is_no_router_is_refused():
    with pytest.raises(ConfigurationError, match="give an AdaptiveRouter or a RemoteRouter"):
        route_frame("router", pd.DataFrame({"text": TEXTS}))


@pytest.mark.parametrize(
    ("progress", "batch_size", "expected"),
    [(None, 5, []), (None, 2, [(5, 5)]), (True, 5, [(5, 5)]), (False, 2, [])],
)
def test_a_bar_is_shown_for_more_than_one_batch_or_as_asked(router, totals, progress, batch_size, expected):
    route_frame(router, pd.DataFrame({"text": TEXTS}), progress=progress, batch_size=batch_size)
    assert totals == expected


def test_no_more_decisions_are_held_than_those_of_a_batch(hashing):
    """What millions of rows take beside the result."""
    alive = most = 0

    class Counted(Decision):
        def __del__(self):
            nonlocal alive
            alive -= 1

    class Counting(AdaptiveRouter):
        def route_each(self, texts, *, options=None):
            nonlocal alive, most
            found = [Counted(**dict(each)) for each in super().route_each(texts, options=options)]
            alive += len(found)
            most = max(most, alive)
            return found

    with Counting(ROUTES, encoder=hashing, config=RouterConfig(cache_size=0)) as router:
        route_frame(router, pd.DataFrame({"text": TEXTS * 40}), batch_size=10, progress=False)
    assert 10 <= most <= 20
