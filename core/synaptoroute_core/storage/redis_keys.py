"""The keys of the store in Redis: what was read of them at one moment, and the commands that a change comes to."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

from synaptoroute_core.changes import AddUtterances, Change, DropUtterances, EncodedRoute, Vectors
from synaptoroute_core.errors import StorageError
from synaptoroute_core.fits import Fit
from synaptoroute_core.storage.logged import VECTOR, Mark, State, kind_and_names, pack
from synaptoroute_core.storage.redis_scripts import KINDS, MARK, READ, STATE
from synaptoroute_core.storage.server import ServerStore
from synaptoroute_core.storage.shelf import FitDocuments


class Picture(NamedTuple):
    """What was in the store at one moment, as far as it was asked for.

    Attributes:
        mark: The newest revision.
        fence: Moved when a change is given up, so that it is not made later.
        places: Places in the order of routes that were ever given out.
        size: Number of routes there are.
        fingerprint: The encoder; empty if there is none.
        dim: Length of its vectors.
        fits: Fits as a document.
        reach: What the rest covers: ``same`` = nothing, ``part`` = what the log tells of, ``all`` = everything.
        log: Kind, and names as JSON, of the revisions that were not known.
        routes: Record and vectors of each route by name; those that are gone are not in it.
        heads: Heads that were not known, by digest.
    """

    mark: Mark
    fence: bytes
    places: int
    size: int
    fingerprint: str
    dim: int
    fits: str
    reach: str
    log: Sequence[tuple[str, str]]
    routes: Mapping[str, tuple[dict[str, Any], bytes]]
    heads: Mapping[str, bytes]


class Command(NamedTuple):
    """A command of a change.

    Attributes:
        key: Last part of the key that it is about.
        name: The command.
        arguments: What follows the key.
    """

    key: str
    name: str
    arguments: tuple[str | bytes | int, ...]


class RedisKeys(ServerStore):
    """Reads the keys of one namespace, and notes down the commands that a change comes to.

    A route is one field of the hash ``routes`` and one of ``vectors``, written whole.
    """

    _client: Any
    """Talks to Redis, and gives bytes."""
    _picture: Picture
    _touched_now: dict[str, tuple[dict[str, Any], bytes]]
    _commands: list[Command]
    _emptied = False
    _places = 0

    @cached_property
    def _keys(self) -> dict[str, str]:
        # Braces: in a cluster, keys with the same text in them are on one node, as a script needs them.
        return {name: f"{{synaptoroute:{self._namespace}}}:{name}" for name in KINDS}

    @cached_property
    def _documents(self) -> FitDocuments:
        return FitDocuments(self.place, f"set the field fits of {self._keys['state']} to []")

    def _run(self, script: str, *arguments: Any) -> Any:
        return self._client.eval(script, len(self._keys), *self._keys.values(), *arguments)

    # --- history -------------------------------------------------------------------------------

    def _newest(self) -> Mark:
        """The newest revision."""
        values = self._client.hmget(self._keys["state"], MARK)
        return self._read_mark(dict(zip(MARK, values, strict=True)))

    def _read_mark(self, state: Mapping[str, bytes | None]) -> Mark:
        if state["epoch"] is None:
            raise StorageError(
                f"{self.place} was emptied: its routes are gone. Bring its data back, or open a new router with "
                "the routes, which the others then take over"
            )
        with self._undamaged("the state"):
            epoch, revision, token = (state[name] or b"" for name in MARK)
            return Mark(epoch.decode(), int(revision), token.decode())

    # --- reading -------------------------------------------------------------------------------

    def _take_picture(self, since: int) -> None:
        """Look at the store: at what happened since a revision, if that is known."""
        seen = self._seen
        known = seen if seen is not None and seen.revision == since else ("", "", "")
        fields, reach, log, routes, heads = self._run(READ, *known, *self._documents.known)
        state = dict(zip(STATE, fields, strict=True))
        mark = self._read_mark(state)
        if reach == b"lost":  # as where the server makes room when its memory is full
            raise StorageError(f"{self.place} is damaged: not all of its routes are there")
        with self._undamaged("the state"):
            self._picture = Picture(
                mark=mark,
                fence=state["fence"] or b"",
                places=int(state["places"] or b""),
                size=int(state["count"] or b""),
                fingerprint=(state["fingerprint"] or b"").decode(),
                dim=int(state["dim"] or b""),
                fits=(state["fits"] or b"").decode(),
                reach=reach.decode(),
                log=[(kind.decode(), names.decode()) for kind, names in log],
                routes=self._read_records(routes),
                heads={digest.decode(): content for digest, content in heads},
            )

    def _read_records(self, rows: Iterable[Sequence[bytes | None]]) -> dict[str, tuple[dict[str, Any], bytes]]:
        """Records and vectors of the routes that are there, by name."""
        with self._undamaged("a route"):
            return {
                (name or b"").decode(): (dict(json.loads(record)), vectors or b"")
                for name, record, vectors in rows
                if record is not None
            }

    def _state(self) -> State:
        mark, has_encoder = self._picture.mark, bool(self._picture.fingerprint)
        oldest = mark.revision - len(self._picture.log) + 1 if self._picture.reach == "part" else mark.revision + 1
        return State(
            oldest,
            mark.revision,
            self._picture.fingerprint if has_encoder else None,
            self._picture.dim if has_encoder else None,
            mark.epoch,
        )

    def _log(self, since: int) -> Iterable[tuple[str, str]]:
        return self._picture.log[since - self._picture.mark.revision :]

    def _has_routes(self) -> bool:
        return bool(self._picture.size) and not self._emptied

    def _routes(self, names: Collection[str] | None, dim: int) -> tuple[EncodedRoute, ...]:
        found = self._picture.routes
        wanted = found.keys() if names is None else found.keys() & set(names)
        routes = [self._decode_record(name, *found[name], dim) for name in wanted]
        with self._undamaged("a route"):
            return tuple(sorted(routes, key=lambda encoded: int(found[encoded.route.name][0]["place"])))

    def _decode_record(self, name: str, record: Mapping[str, Any], vectors: bytes, dim: int) -> EncodedRoute:
        with self._undamaged(f"the route {name!r}"):
            size, texts = dim * VECTOR.itemsize, record["utterances"]
            whole = len(vectors) == size * len(texts)
            rows = [vectors[start : start + size] for start in range(0, len(vectors), size)] if whole else [b""]
            settings = name, record["description"], record["threshold"], record["metadata"]
            return self._decode(settings, texts, rows, dim)

    def _fits(self) -> tuple[Fit, ...]:
        return self._documents.decode(self._picture.fits, self._picture.heads.get)

    @contextmanager
    def _undamaged(self, what: str) -> Iterator[None]:
        """What is done with what was read must not fail for what it is."""
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StorageError(f"{what} in {self.place} is damaged: {error}") from error

    # --- noting down ---------------------------------------------------------------------------

    def _begin(self, change: Change) -> None:
        """Forget what was noted for a change that did not come about, and get what this one is about."""
        self._commands = []
        self._emptied = False
        self._places = self._picture.places
        names = kind_and_names(change)[1]
        pipe = self._client.pipeline(transaction=False)
        for key in ("routes", "vectors") if isinstance(change, AddUtterances | DropUtterances) else ("routes",):
            pipe.hmget(self._keys[key], names)
        records, *vectors = pipe.execute() if names else ([],)
        none: list[None] = [None] * len(names)
        encoded = [name.encode() for name in names]
        self._touched_now = self._read_records(zip(encoded, records, vectors[0] if vectors else none, strict=True))

    def _note(self, key: str, name: str, *arguments: str | bytes | int) -> None:
        self._commands.append(Command(key, name, arguments))

    def _set_encoder(self, fingerprint: str | None, dim: int | None) -> None:
        self._note("state", "HSET", "fingerprint", fingerprint or "", "dim", dim or 0)

    def _put(self, encoded: EncodedRoute) -> None:
        route = encoded.route
        known = None if self._emptied else self._touched_now.get(route.name)
        if known is None:
            self._places += 1
            self._note("state", "HSET", "places", self._places)
        record = {
            "place": self._places if known is None else known[0]["place"],
            "description": route.description,
            "threshold": route.threshold,
            "metadata": json.dumps(route.metadata),
            "utterances": list(route.utterances),
        }
        self._write_route(route.name, record, pack(encoded.vectors))

    def _write_route(self, name: str, record: Mapping[str, Any], vectors: bytes) -> None:
        self._note("routes", "HSET", name, json.dumps(record))
        self._note("vectors", "HSET", name, vectors)

    def _drop(self, names: Sequence[str]) -> None:
        for name in names:
            self._note("routes", "HDEL", name)
            self._note("vectors", "HDEL", name)

    def _drop_all(self) -> None:
        self._emptied = True
        self._note("routes", "DEL")
        self._note("vectors", "DEL")

    def _add_utterances(self, name: str, texts: Sequence[str], vectors: Vectors) -> None:
        record, known = self._touched_now[name]
        self._write_route(name, {**record, "utterances": [*record["utterances"], *texts]}, known + pack(vectors))

    def _drop_utterances(self, name: str, texts: Sequence[str]) -> None:
        (record, known), gone = self._touched_now[name], set(texts)
        size = len(known) // len(record["utterances"])
        kept = [(place, text) for place, text in enumerate(record["utterances"]) if text not in gone]
        vectors = b"".join(known[place * size : (place + 1) * size] for place, _ in kept)
        self._write_route(name, {**record, "utterances": [text for _, text in kept]}, vectors)

    def _set_thresholds(self, thresholds: Mapping[str, float | None]) -> None:
        for name, (record, _) in self._touched_now.items():
            self._note("routes", "HSET", name, json.dumps({**record, "threshold": thresholds[name]}))

    def _set_fits(self, fits: tuple[Fit, ...]) -> None:
        document, heads = self._documents.encode(fits)
        self._note("heads", "DEL")
        for digest, content in heads.items():
            self._note("heads", "HSET", digest, content)
        self._note("state", "HSET", "fits", document)

    def _age_fits(self) -> None:
        self._note("state", "HSET", "fits", self._documents.aged(self._picture.fits))
