"""Edits from afar: what they change, when they are refused, and that mistakes have the errors that they have here."""

import pickle

import pytest

from synaptoroute_core import (
    ConfigurationError,
    InvalidTextError,
    RevisionConflictError,
    Route,
    RouteExistsError,
    RouteNotFoundError,
)

GREETING = Route("greeting", ["hello there", "good morning"], description="Says hello", metadata={"team": 1})


# --- editing ---------------------------------------------------------------------------------------


def test_routes_are_edited_from_afar(remote, local):
    assert remote.add_route(GREETING).changed == 2
    assert local.routes["greeting"] == remote.routes["greeting"] == GREETING
    assert remote.add_utterances("greeting", ["hey", "Hello  THERE"]).changed == 1
    assert remote.remove_utterances("greeting", ["hello there"]).changed == 1
    assert remote.update_threshold("greeting", 0.25).changed == 1
    assert local.routes["greeting"].utterances == ("good morning", "hey")
    assert local.routes["greeting"].threshold == 0.25
    receipt = remote.add_route(GREETING, overwrite=True)
    assert receipt.revision == remote.revision == local.revision
    assert remote.remove_route("greeting").changed == 2
    assert "greeting" not in local.routes


async def test_awaitable_methods_edit_alike(remote, local):
    await remote.aadd_route(GREETING)
    await remote.aadd_utterances("greeting", ["hey"])
    await remote.aremove_utterances("greeting", ["hello there"])
    await remote.aupdate_threshold("greeting", 0.25)
    assert local.routes["greeting"].utterances == ("good morning", "hey")
    await remote.aremove_route("greeting")
    assert "greeting" not in local.routes
    await remote.aclose()


@pytest.mark.parametrize("name", ["größe.日本", "a.b-c_1", "...x", "x" * 128])
def test_any_name_that_a_route_can_have_finds_its_way(remote, name):
    remote.add_route(Route(name, ["one text", "another"]))
    assert remote.remove_utterances(name, ["another"]).changed == 1
    assert remote.routes[name].utterances == ("one text",)
    assert remote.remove_route(name).changed == 1


def test_adding_or_removing_nothing_changes_nothing(remote, local):
    for router in (remote, local):
        assert router.add_utterances("refund_status", []) == router.remove_utterances("refund_status", [])
        with pytest.raises(RouteNotFoundError):
            router.add_utterances("nowhere", [])
        with pytest.raises(RevisionConflictError):
            router.add_utterances("refund_status", [], expected_revision=99)


EDITS = {
    "add": lambda router, **more: router.add_route(GREETING, **more),
    "replace": lambda router, **more: router.add_route(GREETING, overwrite=True, **more),
    "remove": lambda router, **more: router.remove_route("refund_status", **more),
    "add utterances": lambda router, **more: router.add_utterances("refund_status", ["new words"], **more),
    "remove utterances": lambda router, **more: router.remove_utterances("refund_status", ["new words"], **more),
    "threshold": lambda router, **more: router.update_threshold("refund_status", 0.1, **more),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_for_another_revision_is_refused(remote, local, name):
    before = dict(local.routes)
    seen = remote.revision
    local.add_route(Route("meanwhile", ["somebody else was here"]))
    with pytest.raises(RevisionConflictError) as caught:
        EDITS[name](remote, expected_revision=seen)
    assert (caught.value.expected, caught.value.current) == (seen, seen + 1)
    assert {**before, "meanwhile": local.routes["meanwhile"]} == dict(local.routes)
    local.add_utterances("refund_status", ["new words"])
    assert EDITS[name](remote, expected_revision=local.revision).revision == local.revision


MISTAKES = {
    "blank text": (InvalidTextError, lambda router: router.route("  ")),
    "no text": (InvalidTextError, lambda router: router.route(7)),
    "one blank of many": (InvalidTextError, lambda router: router.route_batch(["x", ""])),
    "one text for many": (ConfigurationError, lambda router: router.route_batch("x")),
    "options for one": (ConfigurationError, lambda router: router.route_each(["x", "y"], options=[None])),
    "unknown choice": (RouteNotFoundError, lambda router: router.route("x", allowed=["refund_statu"])),
    "impossible choice": (RouteNotFoundError, lambda router: router.route("x", allowed=["no such name \ud800"])),
    "negative time": (ConfigurationError, lambda router: router.route("x", timeout=-1)),
    "taken name": (RouteExistsError, lambda router: router.add_route(Route("refund_status", ["x"]))),
    "no route": (ConfigurationError, lambda router: router.add_route("refund_status")),
    "unknown route": (RouteNotFoundError, lambda router: router.remove_route("refund_statu")),
    "impossible route": (RouteNotFoundError, lambda router: router.remove_route("a/../b")),
    "unknown route, words": (RouteNotFoundError, lambda router: router.add_utterances("nowhere", ["x"])),
    "blank words": (InvalidTextError, lambda router: router.add_utterances("refund_status", [" "])),
    "strange words": (InvalidTextError, lambda router: router.remove_utterances("refund_status", ["never said"])),
    "all words": (
        ConfigurationError,
        lambda router: router.remove_utterances("refund_status", router.routes["refund_status"].utterances),
    ),
    "threshold": (ConfigurationError, lambda router: router.update_threshold("refund_status", 2)),
    "route of a mapping": (KeyError, lambda router: router.routes["nowhere"]),
}


def test_mistakes_have_the_same_errors_as_here(remote, local):
    for name, (kind, mistake) in MISTAKES.items():
        with pytest.raises(kind) as here:
            mistake(local)
        with pytest.raises(kind) as there:
            mistake(remote)
        again = pickle.loads(pickle.dumps(there.value))
        told = [(type(error), str(error), getattr(error, "name", None)) for error in (here.value, there.value, again)]
        assert told == told[:1] * 3, name
