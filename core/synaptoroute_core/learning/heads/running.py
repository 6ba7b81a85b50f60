"""Under what conditions heads are trained: libraries loaded, one BLAS thread, a progress bar."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module

from tqdm import tqdm

from synaptoroute_core.errors import missing_extra

LIBRARIES = ("scipy.optimize", "scipy.sparse", "sklearn.linear_model", "sklearn.utils.extmath", "threadpoolctl")


@contextmanager
def training() -> Iterator[None]:
    """Train within: with the libraries that it takes, and one BLAS thread.

    Raises:
        ImportError: One of them is not installed; the message has the command that installs it.
    """
    try:
        load_libraries()
    except ModuleNotFoundError as error:
        raise missing_extra("fit", error) from error
    with ONE_THREAD:
        yield


def load_libraries() -> None:
    """Import what training needs: a limit on BLAS threads does not reach a library that is loaded under it."""
    for name in LIBRARIES:
        import_module(name)


class _OneThread:
    """BLAS with one thread: for matrices of this size more only get into each other's way, and the queries'.

    Fits may overlap: the first one sets it for the process, and the last one sets it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._limits = ExitStack()

    def __enter__(self) -> None:
        from threadpoolctl import threadpool_limits

        with self._lock:
            if not self._running:
                self._limits.enter_context(threadpool_limits(1))
            self._running += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running -= 1
            if not self._running:
                self._limits.close()


ONE_THREAD = _OneThread()


@contextmanager
def showing(*, progress: bool | Callable[[float], None] | None) -> Iterator[Callable[[float], None]]:
    """A progress bar over the share of a fit that is done, or what a caller has in its place.

    Gives a function that takes the share of the work that was done since.
    """
    if callable(progress):
        with _telling(progress) as step:
            yield step
        return
    disable = None if progress is None else not progress
    with tqdm(
        total=1.0, desc="fitting", leave=False, disable=disable, bar_format="{desc}: {percentage:3.0f}%|{bar}|"
    ) as bar:

        def step(share: float) -> None:
            bar.update(min(share, 1.0 - bar.n))

        yield step


@contextmanager
def _telling(hook: Callable[[float], None]) -> Iterator[Callable[[float], None]]:
    """Tell a hook the share of the work that is done: rising, and 1 at the end, unless it ends in an error."""
    done = 0.0

    def step(share: float) -> None:
        nonlocal done
        done = min(done + share, 1.0)
        hook(done)

    yield step
    if done < 1.0:
        hook(1.0)
