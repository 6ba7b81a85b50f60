"""Some of the routes, and routes that exist nowhere else: what one caller chooses from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from synaptoroute_core.snapshot import Snapshot, merge


class Choices(Collection[str]):
    """Names of routes to choose from, some of which may exist only here.

    Made by :meth:`AdaptiveRouter.choices`, given as ``allowed``. It may be kept and used again, by
    any number of threads: stored routes are seen as they are at each call, and a stored route that
    was removed since is passed over.

    Args:
        names: The names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Choices: {', '.join(self)}>"


class PreparedChoices(Choices):
    """Choices with what is needed to score them.

    Args:
        stored: Names of stored routes.
        extra: The routes beside them; None = there are none.
    """

    def __init__(self, stored: Collection[str], extra: Snapshot | None) -> None:
        super().__init__([*stored, *(extra.names if extra else ())])
        self._stored = frozenset(stored)
        self._extra = extra
        self._last: tuple[Snapshot, Snapshot] | None = None

    def among(self, snapshot: Snapshot) -> tuple[Snapshot, Collection[str] | None]:
        """As the function :func:`among`."""
        if self._extra is None:
            return snapshot, self._stored
        last = self._last  # one read: another thread may replace it
        if last is None or last[0] is not snapshot:
            last = self._last = snapshot, merge(snapshot, self._stored, self._extra)
        return last[1], None


def among(allowed: Collection[str] | None, snapshot: Snapshot) -> tuple[Snapshot, Collection[str] | None]:
    """What to score and which names of it to choose from (None = all), given the stored routes."""
    return allowed.among(snapshot) if isinstance(allowed, PreparedChoices) else (snapshot, allowed)
