"""A service that cannot see its store says so, and a change that the store leaves in doubt is called that."""

import pytest
from launched import wait_until

from synaptoroute_core import AdaptiveRouter, CommitUncertainError, HashingEncoder, Route, RouterConfig, SqliteStore

ENCODER = HashingEncoder(dim=32)
ROUTES = [Route("refund", ["I want my money back"])]
NEW = {"name": "cancel", "utterances": ["cancel my order"]}
OFTEN = RouterConfig(follow_interval_s=0.02)
STALE_S = 0.3


@pytest.fixture
def file(tmp_path):
    return tmp_path / "routes.sqlite"


@pytest.fixture
def on_file(file, serve):
    """Serves routes that lie in a file."""
    routers = []

    def start(store=None, config=OFTEN, **settings):
        routers.append(AdaptiveRouter(ROUTES, encoder=ENCODER, store=file if store is None else store, config=config))
        return serve(router=routers[-1], **settings)

    yield start
    for router in routers:
        router.close()


def health(served) -> tuple[int, str]:
    answer = served.client.get("/health/ready")
    return answer.status_code, answer.json()["status"]


def figure(served, name: str) -> float:
    lines = served.client.get("/metrics").text.splitlines()
    [value] = [line.rsplit(" ", 1)[1] for line in lines if line.startswith(f"synaptoroute_{name} ")]
    return float(value)


def test_a_service_that_has_lost_sight_of_its_store_is_stale_until_it_sees_it_again(on_file, file):
    served = on_file(max_staleness_s=STALE_S)
    wait_until(lambda: health(served) == (200, "ready"))
    away = file.rename(file.with_name("away.sqlite"))
    wait_until(lambda: health(served) == (503, "stale"))
    stats = served.client.get("/stats").json()
    assert stats["state"] == "stale"
    assert "was moved" in stats["store"]["failing"]
    assert stats["store"]["behind_s"] > STALE_S
    assert figure(served, "store_failing") == 1
    assert figure(served, "store_behind_seconds") > STALE_S
    assert served.ask("I want my money back").json()["route"] == "refund"
    away.rename(file)
    wait_until(lambda: health(served) == (200, "ready"))
    wait_until(lambda: served.client.get("/stats").json()["store"]["failing"] is None)
    assert figure(served, "store_failing") == 0


@pytest.mark.parametrize(
    ("config", "settings"),
    [(OFTEN, {"max_staleness_s": None}), (RouterConfig(follow_interval_s=0), {"max_staleness_s": 0.001})],
    ids=["the setting is none", "the store is not followed"],
)
def test_staleness_is_not_looked_at_where_nobody_wants_it(on_file, file, config, settings):
    served = on_file(config=config, **settings)
    file.rename(file.with_name("away.sqlite"))
    wait_until(lambda: served.router.sync_status().behind_s > 2 * OFTEN.follow_interval_s)
    assert health(served) == (200, "ready")


def test_routes_in_memory_are_never_stale(serve):
    served = serve(routes=ROUTES, encoder=ENCODER, max_staleness_s=0.001)
    assert health(served) == (200, "ready")
    assert served.client.get("/stats").json()["store"]["behind_s"] == 0
    assert figure(served, "store_failing") == figure(served, "store_behind_seconds") == 0


def test_the_figure_of_the_digest_is_the_same_where_the_routes_are_and_only_there(on_file):
    one, other = on_file(), on_file()
    wait_until(lambda: figure(one, "routes_digest") == figure(other, "routes_digest"))
    before = figure(one, "routes_digest")
    assert before == int(one.router.sync_status().digest[:12], 16)
    one.client.patch("/routes/refund", json={"threshold": 0.9})
    wait_until(lambda: figure(one, "routes_digest") == figure(other, "routes_digest") != before)


class Doubtful(SqliteStore):
    """Breaks off while it commits."""

    def commit(self, since, fingerprint, prepare):
        super().commit(since, fingerprint, prepare)
        if since:
            raise CommitUncertainError("cannot write the database db.internal: connection reset")
        return 1


def test_a_change_that_may_have_been_made_is_a_problem_that_nobody_repeats_by_himself(on_file, file):
    served = on_file(Doubtful(file))
    answer = served.client.post("/routes", json=NEW)
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:synaptoroute:commit-uncertain"
    assert "may have been made" in answer.json()["detail"]
    assert "retry-after" not in answer.headers
    assert "retry_after_s" not in answer.json()
    assert "db.internal" not in answer.text
    assert 'reason="commit-uncertain"' in served.client.get("/metrics").text


def test_a_service_whose_store_was_encoded_by_another_model_answers_and_changes_nothing(on_file, file):
    served = on_file()
    with AdaptiveRouter(encoder=HashingEncoder(dim=48), store=file) as other:
        newest = other.revision
        answer = served.client.post("/routes", json=NEW)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:synaptoroute:encoder-mismatch"
        assert served.ask("I want my money back").json()["route"] == "refund"
        assert (other.revision, list(other.routes)) == (newest, ["refund"])
