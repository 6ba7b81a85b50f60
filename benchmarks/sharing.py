"""Routes shared through PostgreSQL and Redis: how soon others see a change, and what sharing costs.

- From the acknowledgement of a change in one process to its effect on the queries of another, with the servers' own
  notifications and without.
- A thousand changes from three processes at once: how many a second, whether there is a gap, whether all end up alike.
- A change, and a query, beside a router on a SQLite file: in turn, so that all see the same machine.

The servers are on this machine: on others, the network's round trips come on top of what a change takes (about ten
with PostgreSQL, three with Redis), and not of what a query takes.
"""

from __future__ import annotations

import multiprocessing
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import datasets
import harness
import numpy as np
import psycopg
import redis
from psycopg import sql
from tables import number, table

from synaptoroute_core import AdaptiveRouter, BundledEncoder, HashingEncoder, Route, RouterConfig, SqliteStore, Store
from synaptoroute_core.storage.postgres import PostgresStore
from synaptoroute_core.storage.redis import RedisStore

SERVERS: dict[str, type[PostgresStore | RedisStore]] = {"PostgreSQL": PostgresStore, "Redis": RedisStore}
CHANGES = {True: 300, False: 100}
"""Changes whose effect is awaited, with notifications and without."""
PAUSE_S = {True: 0.04, False: 0.6}
"""Longest pause between two of them: about 6 s and 30 s in all."""
WRITERS, WRITTEN = 3, 1_000
COMMITS = 300
ROUNDS, BLOCK = 100, 20
LOOK_S = 0.0002
FIRST = Route("greeting", ["hello there"])
Address = dict[str, Any]


# --- servers -------------------------------------------------------------------------------------


@contextmanager
def place(server: str, url: str) -> Iterator[Address]:
    """Where nothing is yet, as arguments of a store; removed afterwards."""
    namespace = f"bench_{secrets.token_hex(4)}"
    try:
        yield {"url": url, "namespace": namespace}
    finally:
        if server == "PostgreSQL":
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(namespace)))
        else:
            with redis.Redis.from_url(url) as client:
                client.delete(*client.scan_iter(f"{{synaptoroute:{namespace}}}:*", count=10_000))


def settings(server: str, url: str) -> str:
    """Version, and how durable an acknowledged change is."""
    if server == "PostgreSQL":
        with psycopg.connect(url) as connection:
            asked = ("server_version", "fsync", "synchronous_commit")
            version, *kept = (connection.execute("SELECT current_setting(%s)", (each,)).fetchone() for each in asked)
            return f"{version[0].split()[0]}, fsync {kept[0][0]}, synchronous_commit {kept[1][0]}"
    with redis.Redis.from_url(url, decode_responses=True) as client:
        kept, version = client.config_get("append*"), client.info("server")["redis_version"]
        return f"{version}, appendonly {kept['appendonly']}, appendfsync {kept['appendfsync']}"


def opened(server: str, address: Address) -> AdaptiveRouter:
    """A router that spends next to nothing on encoding."""
    return AdaptiveRouter(encoder=HashingEncoder(), store=SERVERS[server](**address))


def require_servers(urls: dict[str, str]) -> dict[str, str]:
    """Versions and settings of the servers, or the end of the program with a word on which is missing."""
    try:
        return {name: settings(name, url) for name, url in urls.items()}
    except (psycopg.OperationalError, redis.RedisError) as error:
        server = "PostgreSQL" if isinstance(error, psycopg.Error) else "Redis"
        print(f"skipped: no {server} server answers ({type(error).__name__}): make test-services says how to start one")
        sys.exit(0)


# --- other processes -----------------------------------------------------------------------------


@contextmanager
def process(work: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Another process, and the line to it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    started = context.Process(target=work, args=(there, *arguments), daemon=True)
    started.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        started.join(10)
        started.terminate()


def follow(line: Connection, server: str, address: Address, count: int) -> None:
    """Say when each revision came in force here."""
    seen: dict[int, float] = {}
    with opened(server, address) as router:
        known = first = router.revision
        line.send("ready")
        while known < first + count:
            if (revision := router.revision) != known:
                seen |= dict.fromkeys(range(known + 1, revision + 1), time.monotonic())
                known = revision
            time.sleep(LOOK_S)
    line.send(seen)


def write(line: Connection, server: str, address: Address, number: int, count: int) -> None:
    """Make changes; say which revisions they became, and what there is when all have been made."""
    with opened(server, address) as router:
        line.send("ready")
        line.recv()
        revisions = []
        for each in range(count):
            # Routes that all change, so that nothing is left of an order that is not the same for all.
            receipt = router.add_utterances(f"shared{each % 5}", [f"text {each} of writer {number}"])
            revisions.append(receipt.revision)
        line.send(revisions)
        last = line.recv()
        while router.revision < last:
            time.sleep(0.01)
        line.send(router.sync_status().digest)


# --- measured ------------------------------------------------------------------------------------


def effect(server: str, url: str, *, notify: bool) -> dict[str, float]:
    """Milliseconds from the acknowledgement of a change here to its effect in another process."""
    chance, count = random.Random(1), CHANGES[notify]
    with place(server, url) as address, opened(server, address) as router:
        router.add_route(FIRST)
        acknowledged: dict[int, float] = {}
        with process(follow, server, {**address, "notify": notify}, count) as line:
            line.recv()
            for each in range(count):
                time.sleep(chance.uniform(0, PAUSE_S[notify]))
                receipt = router.add_utterances("greeting", [f"hello number {each}"])
                acknowledged[receipt.revision] = time.monotonic()
            seen = line.recv()
    return harness.percentiles([max(0.0, seen[revision] - at) for revision, at in acknowledged.items()])


def crowd(server: str, url: str) -> dict[str, Any]:
    """Changes from several processes at once."""
    shares = [WRITTEN // WRITERS + (number < WRITTEN % WRITERS) for number in range(WRITERS)]
    with place(server, url) as address, ExitStack() as stack:
        with opened(server, address) as router:
            for each in range(5):
                router.add_route(Route(f"shared{each}", [f"the first text {each}"]))
            first = router.revision
        lines = [
            stack.enter_context(process(write, server, address, number, share)) for number, share in enumerate(shares)
        ]
        for line in lines:
            line.recv()
        began = time.perf_counter()
        for line in lines:
            line.send("go")
        revisions = sorted(revision for line in lines for revision in line.recv())
        taken_s = time.perf_counter() - began
        for line in lines:
            line.send(first + WRITTEN)
        digests = {line.recv() for line in lines}
    return {
        "changes_per_second": WRITTEN / taken_s,
        "without_a_gap": revisions == list(range(first + 1, first + WRITTEN + 1)),
        "alike": len(digests) == 1,
    }


def routers(servers: dict[str, str], stack: ExitStack, **arguments: Any) -> dict[str, AdaptiveRouter]:
    """One on a SQLite file and one on each server, with the same routes."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    stores: dict[str, Store] = {"SQLite": SqliteStore(Path(folder) / "routes.db")}
    for server, url in servers.items():
        stores[server] = SERVERS[server](**stack.enter_context(place(server, url)))
    return {name: stack.enter_context(AdaptiveRouter(store=store, **arguments)) for name, store in stores.items()}


def commits(servers: dict[str, str]) -> dict[str, dict[str, float]]:
    """Milliseconds that adding an utterance takes."""
    times: dict[str, list[float]] = {}
    with ExitStack() as stack:
        for name, router in (by_name := routers(servers, stack, encoder=HashingEncoder(), routes=[FIRST])).items():
            router.add_utterances("greeting", ["warm up"])
            times[name] = []
        for each in range(COMMITS):
            for name, router in by_name.items():
                times[name].append(harness.seconds(lambda r=router, e=each: r.add_utterances("greeting", [f"no {e}"])))
    return {name: harness.percentiles(taken) for name, taken in times.items()}


def queries(servers: dict[str, str], data: Path) -> dict[str, Any]:
    """Milliseconds of a query, block by block in turn, and how they compare with SQLite's."""
    texts_of, texts = harness.work(data, ROUNDS * BLOCK)
    routes, chance = [Route(name, texts) for name, texts in texts_of.items()], random.Random(2)
    medians: dict[str, list[float]] = {}
    with ExitStack() as stack:
        config = RouterConfig(cache_size=0)
        by_name = routers(servers, stack, encoder=BundledEncoder(), routes=routes, config=config)
        names = list(by_name)
        for name in names:
            medians[name] = []
            for text in texts[:50]:
                by_name[name].route(text)
        for number in range(ROUNDS):
            chance.shuffle(names)  # so that none always comes after the same one
            block = texts[number * BLOCK : (number + 1) * BLOCK]
            for name in names:
                route = by_name[name].route
                medians[name].append(float(np.median([harness.seconds(lambda r=route, t=t: r(t)) for t in block])))
    return {
        name: {"p50": float(np.median(taken)) * 1e3, **_compared(taken, medians["SQLite"])}
        for name, taken in medians.items()
    }


def _compared(taken: list[float], base: list[float]) -> dict[str, float]:
    """Median of the round-by-round ratios, with the quartiles and the range in which 95 of 100 medians would be."""
    ratios, chance = np.array(taken) / np.array(base), np.random.default_rng(3)
    drawn = np.median(chance.choice(ratios, (2_000, len(ratios))), axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    first, third = np.percentile(ratios, (25, 75))
    return {
        "ratio": float(np.median(ratios)),
        "low": float(low),
        "high": float(high),
        "first_quartile": float(first),
        "third_quartile": float(third),
    }


# --- table ---------------------------------------------------------------------------------------


def page(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    names = list(figures["servers"])

    def times(part: str) -> list[str]:
        return [f"{number(figures[part][name]['p50'])}, {number(figures[part][name]['p99'])} ms" for name in names]

    def crowds(say: Callable[[dict[str, Any]], str]) -> list[str]:
        return [say(figures["crowd"][name]) for name in names]

    def ratio(at: dict[str, float]) -> str:
        return f"{at['ratio']:.3f} ({at['low']:.3f} to {at['high']:.3f})"

    sqlite = figures["commit"]["SQLite"]
    rows = [
        ["from acknowledgement to effect in another process: p50, p99", *times("effect")],
        ["the same without notifications, looking every 2 s", *times("effect_without_notifications")],
        [
            f"changes a second, {WRITTEN:,} from {WRITERS} processes",
            *crowds(lambda at: number(at["changes_per_second"])),
        ],
        ["their revisions without a gap, routes alike afterwards", *crowds(_verdict)],
        [
            f"a change (SQLite: {number(sqlite['p50'])}, {number(sqlite['p99'])} ms): p50, p99",
            *times("commit"),
        ],
        [
            f"a query, over the same on SQLite ({number(figures['query']['SQLite']['p50'])} ms)",
            *(ratio(figures["query"][name]) for name in names),
        ],
    ]
    heads = (f"{name} {figures['servers'][name]}" for name in names)
    return table(["", *heads], rows)


def _verdict(at: dict[str, Any]) -> str:
    return "yes" if at["without_a_gap"] and at["alike"] else "**no**"


def main() -> None:
    """Measure, save, and print a table."""
    parser = datasets.parser(__doc__)
    parser.add_argument("--postgres", default="postgresql://postgres@127.0.0.1:5432/test", help="URL of a database")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0", help="URL of a database")
    arguments = parser.parse_args()
    urls = {"PostgreSQL": arguments.postgres, "Redis": arguments.redis}
    figures = {
        "servers": require_servers(urls),
        "query": queries(urls, datasets.require(arguments.data)),
        "commit": commits(urls),
        "crowd": {name: crowd(name, url) for name, url in urls.items()},
        "effect": {name: effect(name, url, notify=True) for name, url in urls.items()},
        "effect_without_notifications": {name: effect(name, url, notify=False) for name, url in urls.items()},
    }
    harness.save("sharing", figures)
    print(page(figures))


if __name__ == "__main__":
    main()
