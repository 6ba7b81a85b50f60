"""Trials: decided like any other query, and counted nowhere. What `/stats` and `/abstentions` say beside."""

import re

import httpx
import pytest

from synaptoroute_core import HashingEncoder, Route

FEW = (Route("refund", ["money back", "repay me"]), Route("cancel", ["stop it", "call it off"]))
STRANGE = "zebra crossing"


@pytest.fixture
def served(serve):
    """A quick service that has decided nothing."""
    return serve(routes=FEW, encoder=HashingEncoder())


def counted(served) -> float:
    """Decisions in the figures, abstentions too."""
    found = re.findall(r"^synaptoroute_decisions_total\{.*\} (.+)$", served.client.get("/metrics").text, re.MULTILINE)
    return sum(map(float, found))


def kept(served) -> list[str]:
    return [each["text"] for each in served.client.get("/abstentions").json()["abstentions"]]


@pytest.mark.parametrize("text", ["money back", STRANGE])
def test_a_trial_is_decided_like_any_other_query_and_not_counted(served, text):
    trial = served.ask(text, trial=True).json()
    assert counted(served) == 0
    assert kept(served) == []
    assert served.ask(text).json() == trial
    assert served.ask(text, trial=False).json() == trial
    assert counted(served) == 2


def test_trials_of_several_texts_are_not_counted_either(served):
    texts = ["money back", STRANGE, " "]
    answers = [served.client.post("/route", json={"texts": texts, "trial": trial}).json() for trial in (True, False)]
    assert [outcome["decision"] for outcome in answers[0]["results"]] == [
        outcome["decision"] for outcome in answers[1]["results"]
    ]
    assert counted(served) == 2
    assert kept(served) == [STRANGE]


def test_an_abstention_on_trial_is_not_logged(serve, caplog):
    served = serve(routes=FEW, encoder=HashingEncoder(), log_queries=True)
    caplog.set_level("INFO", logger="synaptoroute_integrations.server")
    served.ask(STRANGE, trial=True)
    assert "abstained" not in caplog.text
    served.ask(STRANGE)
    assert "abstained" in caplog.text


@pytest.mark.parametrize("more", [{}, {"trial": True}, {"trial": False}, {"trial": True, "timeout_s": 5.0}])
def test_a_trial_alone_keeps_to_the_fast_way(served, monkeypatch, more):
    seen = []
    decide = served.router.aroute

    def noting(text, *, options=None, timeout=None):
        seen.append(options)
        return decide(text, options=options, timeout=timeout)

    monkeypatch.setattr(served.router, "aroute", noting)
    served.ask("money back", **more)
    served.ask("money back", **more, max_candidates=1)
    assert seen[0] is None
    assert seen[1].max_candidates == 1


def test_a_trial_keeps_the_other_options(served):
    decision = served.ask("money back", trial=True, allowed=["cancel"], threshold=-1.0).json()
    assert decision["route"] == "cancel"
    assert counted(served) == 0


@pytest.mark.parametrize("trial", [1, "true", None])
def test_a_trial_is_true_or_false(served, trial):
    answer = served.ask("money back", trial=trial)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == "body.trial"


def test_a_stream_is_counted(served):
    body = f'"money back"\n"{STRANGE}"\n" "\n'
    answer = served.client.post("/route/stream", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert len(answer.text.splitlines()) == 3
    assert counted(served) == 2
    assert kept(served) == [STRANGE]


# --- what pages need to know -------------------------------------------------------------------------


def test_stats_say_what_the_asker_may_do(serve, keys):
    served = serve(routes=FEW, encoder=HashingEncoder(), keys=keys.setting)
    for scope, key in (("route", keys.route), ("admin", keys.admin)):
        headers = {"Authorization": f"Bearer {key}"}
        assert served.client.get("/stats", headers=headers).json()["scope"] == scope


def test_without_keys_everything_may_be_done(served):
    assert served.client.get("/stats").json()["scope"] == "admin"


@pytest.mark.parametrize("count", [0, 2])
def test_abstentions_say_how_many_are_kept(serve, count):
    served = serve(routes=FEW, encoder=HashingEncoder(), abstentions_kept=count)
    for text in ("zebra", "yak", "wombat"):
        served.ask(text)
    answer = served.client.get("/abstentions").json()
    assert answer["kept"] == count
    assert [each["text"] for each in answer["abstentions"]] == ["wombat", "yak"][:count]


@pytest.mark.parametrize("path", ["/", "/playground/app.js", "/docs", "/docs/start.js", "/openapi.json"])
def test_pages_are_neither_rationed_nor_refused_while_requests_wait(serve, path):
    served = serve(routes=FEW, encoder=HashingEncoder(), rate_limit=0.001, rate_burst=1, max_queue_s=0)
    get = served.url + path
    assert [httpx.get(get, trust_env=False).status_code for _ in range(3)] == [200] * 3
