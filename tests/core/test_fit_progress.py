"""A fit that tells how far it is: rising to 1, in its own thread, and stopped by what the hook raises."""

import threading
from itertools import pairwise

import pytest
from fitted import EXAMPLES, ROUTES, answers, newest_head, open_router, scorers

from synaptoroute_core import ConfigurationError, Route

TWO = [Route("yes", ["yes please", "of course"]), Route("no", ["no thanks", "never"])]


class Stop(Exception):  # noqa: N818  # a signal
    """What a hook raises to end a fit."""


@pytest.fixture
def router():
    with open_router() as fresh:
        yield fresh


@pytest.mark.parametrize("routes", [ROUTES, TWO], ids=["five routes", "too few to hide one"])
@pytest.mark.parametrize("examples", [[], EXAMPLES], ids=["no examples", "examples"])
def test_the_share_rises_and_is_1_once_at_the_end(routes, examples):
    names = {route.name for route in routes}
    given = [(text, label) for text, label in examples if label is None or label in names]
    shares: list[float] = []
    with open_router(routes) as router:
        router.fit(given, progress=shares.append)
    assert len(shares) > 3
    assert all(0 < share <= 1 for share in shares)
    assert all(before <= after for before, after in pairwise(shares))
    assert (shares[-1], shares.count(1.0)) == (1.0, 1)


def test_the_hook_is_called_in_the_thread_that_fits(router):
    called_in = set()
    router.fit(progress=lambda _: called_in.add(threading.current_thread()))
    assert called_in == {threading.current_thread()}


async def test_the_awaitable_fit_calls_it_beside_the_event_loop(router):
    called_in, shares = set(), []

    def hear(share):
        called_in.add(threading.current_thread())
        shares.append(share)

    await router.afit(progress=hear)
    assert len(called_in) == 1
    assert threading.current_thread() not in called_in
    assert shares[-1] == 1.0


def test_who_listens_gets_the_same_head(router):
    router.fit(seed=2)
    plain = newest_head(router)
    router.fit(seed=2, progress=lambda _: None)
    assert newest_head(router) == plain


def test_at_1_the_fit_is_made_and_not_yet_in_force(router):
    revisions = []
    router.fit(progress=lambda share: revisions.append((share, router.revision)))
    assert revisions[-1] == (1.0, 1)
    assert router.revision == 2


@pytest.mark.parametrize("at", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_what_the_hook_raises_ends_the_fit_and_nothing_has_changed(router, at, error):
    before = router.revision, dict(router.routes), router.fits, answers(router)

    def stop(share):
        if share >= at:
            raise error

    with pytest.raises(error):
        router.fit(progress=stop)
    assert (router.revision, dict(router.routes), router.fits, answers(router)) == before
    router.fit()
    assert scorers(router) == {"head"}


def test_a_stopped_fit_leaves_the_one_before_in_force(router):
    router.fit()
    before = newest_head(router), answers(router)

    def stop(share):
        raise Stop

    with pytest.raises(Stop):
        router.fit(EXAMPLES, progress=stop)
    assert (newest_head(router), answers(router), len(router.fits)) == (*before, 1)


def test_a_fit_that_is_refused_never_says_that_it_is_done():
    shares: list[float] = []
    with open_router(ROUTES[:1]) as router, pytest.raises(ConfigurationError):
        router.fit(progress=shares.append)
    assert shares == []


@pytest.mark.parametrize("progress", [True, False, None])
def test_a_bar_is_shown_as_before(router, capsys, progress):
    router.fit(progress=progress)
    assert ("fitting" in capsys.readouterr().err) == bool(progress)
