"""Batches of texts are labelled as the router would, in any form and in any process."""

import multiprocessing
import os
import pickle
import threading

import fitted
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from synaptoroute_core import (
    AdaptiveRouter,
    ConfigurationError,
    EncoderError,
    HashingEncoder,
    InvalidTextError,
    Route,
    RouteNotFoundError,
    RouterConfig,
    save_routes,
)
from synaptoroute_integrations.bulk import FrozenRoutes, RouteBatch

NAMES = ["route", "score", "margin", "confidence", "reason"]


def as_rows(batch, names=NAMES):
    """Rows of the new columns, None where a value is missing."""
    if isinstance(batch, pd.DataFrame):
        batch = pa.Table.from_pandas(batch)
    if isinstance(batch, dict):
        columns = [[None if pd.isna(value) else value for value in batch[name].tolist()] for name in names]
    else:
        columns = [batch.column(name).to_pylist() for name in names]
    return list(zip(*columns, strict=True))


FORMS = {
    "arrays": lambda columns: {name: np.array(values, object) for name, values in columns.items()},
    "strings": lambda columns: {name: np.array(values) for name, values in columns.items()},
    "lists": dict,
    "frame": pd.DataFrame,
    "table": pa.table,
    "record batch": pa.RecordBatch.from_pydict,
}


# --- what comes out --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_gets_the_decisions_of_route_batch_in_the_form_in_which_it_came(form, router, texts, judged):
    batch = FORMS[form]({"query": texts})
    labelled = RouteBatch(router, text="query")(batch)
    assert type(labelled) is type(batch)
    assert as_rows(labelled) == judged(router, texts)
    assert len({reason for *_, reason in as_rows(labelled)}) == 3


def test_a_frame_keeps_its_index_and_its_columns_and_gets_nullable_ones(router):
    frame = pd.DataFrame({"text": ["refund", "xyzzy"], "id": [1, 2]}, index=[7, 7])
    labelled = RouteBatch(router, errors="keep", with_revision=True, prefix="our_")(frame)
    assert list(frame.columns) == ["text", "id"]
    assert labelled.index.tolist() == [7, 7]
    assert labelled.dtypes.astype(str).to_dict() | {"text": None} == {
        "text": None,
        "id": "int64",
        "our_route": "string",
        "our_score": "Float64",
        "our_margin": "Float64",
        "our_confidence": "Float64",
        "our_reason": "string",
        "our_revision": "Int64",
        "our_error": "string",
    }


def types_of(batch):
    """The types of the new columns."""
    if isinstance(batch, dict | pd.DataFrame):
        return {name: batch[name].dtype for name in list(batch)[1:]}
    return {field.name: field.type for field in list(batch.schema)[1:]}


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_batch_has_the_same_columns_and_opens_no_router(form, router, monkeypatch):
    label = RouteBatch(router, errors="keep")
    full = types_of(label(FORMS[form]({"text": ["refund"]})))
    monkeypatch.setattr(RouteBatch, "router", None)
    empty = types_of(label(FORMS[form]({"text": []})))
    assert empty == full
    assert list(empty) == [*NAMES, "error"]


def test_an_arrow_table_keeps_its_metadata(router):
    table = pa.table({"text": ["refund"]}).replace_schema_metadata({"owner": "us"})
    assert RouteBatch(router)(table).schema.metadata == {b"owner": b"us"}


def test_only_allowed_routes_are_chosen(router, texts, judged):
    labelled = RouteBatch(router, allowed=["cancel", "refund"])({"text": texts})
    assert as_rows(labelled) == judged(router, texts, allowed=["cancel", "refund"])


# --- texts that are none ---------------------------------------------------------------------------

GAPS = ["refund", None, "  ", "where is my parcel"]


@pytest.mark.parametrize("form", ["arrays", "frame", "table", "record batch"])
def test_a_missing_or_blank_text_keeps_its_error_and_harms_no_other(form, router, judged):
    labelled = RouteBatch(router, errors="keep")(FORMS[form]({"text": GAPS}))
    rows = as_rows(labelled, [*NAMES, "error"])
    good = judged(router, [GAPS[0], GAPS[3]])
    assert [rows[0], rows[3]] == [(*row, None) for row in good]
    assert [row[:5] for row in rows[1:3]] == [(None,) * 5] * 2
    assert "missing" in rows[1][5]
    assert "blank" in rows[2][5]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_whatever_stands_for_a_missing_text_is_one(missing, router):
    labelled = RouteBatch(router, errors="keep")({"text": np.array(["refund", missing], object)})
    assert labelled["error"].tolist() == [None, "the text is missing"]


def test_without_leave_to_keep_errors_the_first_is_raised_with_its_row(router):
    with pytest.raises(InvalidTextError, match=r"row 1: the text is missing; errors='keep'"):
        RouteBatch(router)({"text": GAPS})
    with pytest.raises(InvalidTextError, match="row 0: the query must be a string, got int"):
        RouteBatch(router)({"text": np.array([5])})


def test_a_text_that_the_model_fails_on_fails_alone(router, monkeypatch):
    encode = HashingEncoder.encode

    def fail(self, texts):
        if "poison" in texts:
            raise RuntimeError("no")
        return encode(self, texts)

    monkeypatch.setattr(HashingEncoder, "encode", fail)
    labelled = RouteBatch(router, errors="keep")({"text": ["refund", "poison"]})
    assert labelled["route"].tolist() == ["refund", None]
    with pytest.raises(EncoderError, match="row 1: "):
        RouteBatch(router)({"text": ["refund", "poison"]})


# --- arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "nothing is given"),
        ({"routes": "a.yaml", "store": "b.sqlite"}, "routes and store"),
        ({"store": "nowhere.sqlite"}, "nowhere.sqlite"),
        ({"routes": "nowhere.yaml"}, "nowhere.yaml"),
        ({"router": "a router"}, "a router"),
        ({"routes": 5}, "routes = 5"),
        ({"store": ["a.sqlite"]}, r"store = \['a.sqlite'\]"),
    ],
)
def test_what_the_routes_come_from_is_named_once_and_there(arguments, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=named):
        RouteBatch(**arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"errors": "ignore"}, ConfigurationError, "ignore"),
        ({"workers": 0}, ConfigurationError, "workers"),
        ({"allowed": ["refnd"]}, RouteNotFoundError, "refnd"),
        ({"config": RouterConfig()}, ConfigurationError, "config"),
        ({"revision": 7}, ConfigurationError, "revision 7"),
        ({"revision": "1"}, ConfigurationError, "revision = '1'"),
        ({"revision": True}, ConfigurationError, "revision = True"),
        ({"prefix": None}, ConfigurationError, "prefix = None"),
        ({"encoder": 5}, ConfigurationError, "5 is no encoder"),
    ],
)
def test_a_wrong_argument_is_told_before_anything_is_sent_to_a_cluster(arguments, error, named, router):
    with pytest.raises(error, match=named):
        RouteBatch(router, **arguments)


@pytest.mark.parametrize(
    ("batch", "named"),
    [
        ({"query": ["x"]}, "'text'"),
        ({"text": ["x"], "route": [1]}, "'route' already.*prefix"),
        (["x"], "list"),
        ({"text": np.array([["x"]])}, "shape"),
        (pd.DataFrame([["x", "y"]], columns=["text", "text"]), "2 columns"),
        (pa.table([["x"], ["y"]], names=["text", "text"]), "2 columns"),
    ],
)
def test_a_batch_that_cannot_be_labelled_says_why(batch, named, router):
    with pytest.raises(ConfigurationError, match=named):
        RouteBatch(router)(batch)


def test_no_routes_at_all_are_refused(tmp_path):
    (tmp_path / "routes.yaml").write_text("[]")
    with pytest.raises(ConfigurationError, match="there are no routes"):
        RouteBatch(routes=tmp_path / "routes.yaml")
    with AdaptiveRouter(encoder=HashingEncoder()) as empty, pytest.raises(ConfigurationError, match="no routes"):
        RouteBatch(empty)


def test_routes_of_another_encoder_are_refused_rather_than_encoded_anew_in_each_process(router, bundled):
    with pytest.raises(ConfigurationError, match=r"hashing.*all-MiniLM"):
        RouteBatch(router, encoder=bundled)({"text": ["refund"]})


# --- sources ---------------------------------------------------------------------------------------


def test_a_route_file_and_a_store_give_the_decisions_of_a_router_on_them(routes, texts, judged, tmp_path):
    save_routes(tmp_path / "routes.yaml", routes)
    encoder = HashingEncoder()
    with AdaptiveRouter(routes, encoder=encoder, store=tmp_path / "routes.sqlite") as router:
        expected = judged(router, texts)
    for source in ({"routes": tmp_path / "routes.yaml"}, {"store": str(tmp_path / "routes.sqlite")}):
        assert as_rows(RouteBatch(**source, encoder=encoder)({"text": texts})) == expected


def test_a_change_of_the_store_reaches_no_batch_that_was_made_before(routes, texts, judged, tmp_path):
    path = tmp_path / "routes.sqlite"
    with AdaptiveRouter(routes, encoder=HashingEncoder(), store=path) as router:
        expected, revision = judged(router, texts), router.revision
        label = RouteBatch(store=path, encoder=HashingEncoder(), with_revision=True)
        frozen = RouteBatch(router, revision=revision)
        router.add_utterances("cancel", ["refund", "where is my parcel"])
        assert judged(router, texts) != expected
    twin = pickle.loads(pickle.dumps(label))
    for each in (label, twin, frozen):
        assert as_rows(each({"text": texts})) == expected
    assert set(twin({"text": texts})["revision"].tolist()) == {revision}
    with pytest.raises(
        ConfigurationError, match=f"at revision {revision + 1}, this run was to use revision {revision}"
    ):
        RouteBatch(store=path, revision=revision)


def test_what_was_fitted_is_taken_along(judged):
    with fitted.open_router() as router:
        assert router.fit(fitted.EXAMPLES).changed
        expected = judged(router, fitted.QUERIES)
        label = pickle.loads(pickle.dumps(RouteBatch(router)))
    assert as_rows(label({"text": fitted.QUERIES})) == expected
    assert expected[0][3] is not None


# --- processes -------------------------------------------------------------------------------------


def count_openings(monkeypatch):
    opened = []
    really = FrozenRoutes.open
    monkeypatch.setattr(FrozenRoutes, "open", lambda self, **more: opened.append(self) or really(self, **more))
    return opened


def test_a_process_opens_a_router_once_however_often_the_function_is_unpickled(router, monkeypatch):
    opened = count_openings(monkeypatch)
    data = pickle.dumps(RouteBatch(router))
    for _ in range(3):  # a task of Spark unpickles it, labels and forgets it
        assert pickle.loads(data)({"text": ["refund"]})["route"].tolist() == ["refund"]
    assert len(opened) == 1


def test_threads_that_come_at_once_share_one_router(router, monkeypatch):
    opened = count_openings(monkeypatch)
    label = RouteBatch(router)
    results = []
    threads = [threading.Thread(target=lambda: results.append(label({"text": ["refund"]}))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each["route"].tolist() for each in results] == [["refund"]] * 8
    assert len(opened) == 1


def test_a_router_is_closed_when_its_function_is_gone_and_another_is_in_use(router):
    first, second = RouteBatch(router), RouteBatch(router)
    first({"text": ["refund"]})
    inner = first.router()
    del first
    assert inner.route("refund")  # the next task may bring the function again
    second({"text": ["refund"]})
    with pytest.raises(Exception, match="closed"):
        inner.route("refund")


def test_nothing_that_is_open_is_pickled(router):
    label = RouteBatch(router)
    before = len(pickle.dumps(label))
    label({"text": ["refund"]})
    assert len(pickle.dumps(label)) == before


class Bound(HashingEncoder):
    """An encoder that works only in the process that made it, as a loaded model may."""

    def __init__(self):
        super().__init__()
        self.process = os.getpid()

    def __reduce__(self):
        return Bound, ()

    def encode(self, texts):
        assert os.getpid() == self.process
        return super().encode(texts)


def answer(label, queue):
    queue.put(label({"text": ["please refund me"]})["route"].tolist())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_process_opens_a_router_of_its_own(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot {method}")
    context = multiprocessing.get_context(method)
    with AdaptiveRouter([Route("refund", ["please refund me"])], encoder=Bound()) as router:
        label = RouteBatch(router)
        label({"text": ["please refund me"]})  # the parent has one open
        queue = context.SimpleQueue()
        child = context.Process(target=answer, args=(label, queue))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert queue.get() == ["refund"]


def test_an_interrupted_copy_is_repeated(router, monkeypatch):
    """A change that comes while the routes are copied must not leave half of each."""
    vectors, changes = AdaptiveRouter.vectors, ["track it"]

    def changing(self, name):
        if changes:
            self.add_utterances("parcel", [changes.pop()])
        return vectors(self, name)

    monkeypatch.setattr(AdaptiveRouter, "vectors", changing)
    frozen = FrozenRoutes.of(router)
    assert "track it" in frozen.routes[1].utterances
    assert frozen.digest == router.sync_status().digest
