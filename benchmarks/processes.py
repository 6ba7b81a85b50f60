"""A process with all its children: what they take."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

LOOK_S = 0.5
WEIGHING = 0.01
"""Share of a processor that asking for memory may take: where there are many processes, that is done less often."""
SAY_S = 60.0
MIB = float(1 << 20)


def say(text: str) -> None:
    """Progress, for whoever watches."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Watch:
    """Processor time and memory of a process and all that come from it."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._cpu: dict[tuple[int, float], float] = {}
        self._weigh_at = 0.0
        self.peak_mib = 0.0

    @property
    def cpu_s(self) -> float:
        """Processor time so far, also of those that have ended."""
        return sum(self._cpu.values())

    def look(self) -> None:
        """Add what there is now; memory only if the last look at it is long enough ago for what it took."""
        with suppress(psutil.NoSuchProcess):  # it has just ended
            processes = [self._process, *self._process.children(recursive=True)]
            for each in processes:
                with suppress(psutil.NoSuchProcess):
                    times = each.cpu_times()
                    self._cpu[each.pid, each.create_time()] = times.user + times.system
            if time.perf_counter() > self._weigh_at:
                began = time.process_time()
                self.peak_mib = max(self.peak_mib, sum(map(_pss_mib, processes)))
                self._weigh_at = time.perf_counter() + (time.process_time() - began) / WEIGHING


def _pss_mib(process: psutil.Process) -> float:
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    try:
        if not Path("/proc/self/smaps_rollup").exists():
            return float(process.memory_info().rss) / MIB
        line = next(line for line in rollup.read_text().splitlines() if line.startswith("Pss:"))
    except (psutil.NoSuchProcess, OSError, StopIteration):  # it has just ended
        return 0.0
    return int(line.split()[1]) / 1024


@contextmanager
def started(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def watched(command: list[str], log: Path) -> dict[str, float]:
    """Run a command: seconds, those of processors, and the most memory.

    Raises:
        SystemExit: It failed; with the end of what it said.
    """
    before, began = os.times(), time.perf_counter()
    with started(command, log) as process:
        watch, spoken = Watch(psutil.Process(process.pid)), began
        while not _ended(process):
            watch.look()
            if (now := time.perf_counter()) - spoken > SAY_S:
                spoken = now
                say(f"... for {now - began:.0f} s, {watch.cpu_s:.0f} s of processors, {watch.peak_mib:.0f} MiB")
        wall_s = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text(errors='replace')[-4000:]}")
    after = os.times()
    # A look misses the last moments of each process; what the system says of those waited for misses orphans.
    waited_s = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall_s": wall_s, "cpu_s": max(waited_s, watch.cpu_s), "peak_mib": watch.peak_mib}


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(LOOK_S)
    except subprocess.TimeoutExpired:
        return False
    return True
