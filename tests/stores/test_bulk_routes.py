"""Bulk routing takes its routes from any store, by its path or URL."""

import pickle

import pytest

from synaptoroute_core import AdaptiveRouter, ConfigurationError, HashingEncoder, Route
from synaptoroute_integrations.bulk import RouteBatch

ROUTES = [Route("refund", ["I want my money back", "please refund me"]), Route("parcel", ["where is my parcel"])]
TEXTS = ["my money back please", "the parcel, where is it", "xyzzy"]


@pytest.fixture
def address(place):
    """The path or URL of a store, as ``AdaptiveRouter(store=...)`` takes it."""
    return place.argument


def labelled(label):
    return {name: values.tolist() for name, values in label({"text": TEXTS}).items() if name != "text"}


def test_a_batch_takes_its_routes_from_a_store_and_keeps_them_whatever_becomes_of_it(address):
    with AdaptiveRouter(ROUTES, encoder=HashingEncoder(), store=address) as router:
        decisions = router.route_batch(TEXTS)
        revision = router.revision
        label = RouteBatch(store=address, encoder=HashingEncoder(), with_revision=True)
        router.add_utterances("parcel", ["xyzzy"])
        later = RouteBatch(store=address, encoder=HashingEncoder(), with_revision=True)
        with pytest.raises(ConfigurationError, match=f"revision {revision}"):
            RouteBatch(store=address, encoder=HashingEncoder(), revision=revision)
    for each in (label, pickle.loads(pickle.dumps(label))):  # in a process of a cluster; the router is closed by now
        found = labelled(each)
        assert found["route"] == [decision.route for decision in decisions]
        assert found["score"] == [decision.score for decision in decisions]
        assert found["revision"] == [revision] * len(TEXTS)
    assert labelled(later)["route"][-1] == "parcel"
    assert labelled(later)["revision"] == [revision + 1] * len(TEXTS)


def test_a_store_without_routes_is_refused_rather_than_labelling_nothing_for_hours(address):
    AdaptiveRouter(encoder=HashingEncoder(), store=address).close()
    with pytest.raises(ConfigurationError, match="there are no routes"):
        RouteBatch(store=address, encoder=HashingEncoder())
