"""The servers that are compared: each serves the same model in a way of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.archive import handler_settings, pack_with, unpack, whole_batches
from loadtest.bench.plain_archive import obstacle, pack_plain
from loadtest.bench.server import Served, serving
from loadtest.plan import Plan
from loadtest.samples import Sample, read_labels

Texts = Mapping[str, list[Sample]]

BUNDLE = "this bundle"  # in the profile that is the default
PLAIN = "plain handler, fp32, fixed length"
ONE_WORKER = "one worker, padded to the longest"
ONE_WORKER_ALL_CORES = "the same, its model on every core"
# A server that answers one request at a time: more clients would only wait longer.
PLAIN_CLIENTS = 4


@dataclass(frozen=True)
class Setup:
    """A running server, what to send to it by the name of the texts, and the numbers of clients to do so."""

    name: str
    server: Served
    plans: Mapping[str, Plan]
    clients: Sequence[int]


@dataclass(frozen=True)
class Starter:
    """Starts the set-ups of one model; `root` is a folder for their files, its `model` the unpacked archive.

    `texts` are the requests by the name of their lengths.
    """

    model: str
    store: Path
    runs: Path
    root: Path
    texts: Texts
    clients: Sequence[int]
    profiles: Sequence[str]
    running: contextlib.ExitStack
    report: Callable[[str], None]

    def start(self) -> Iterator[Setup]:
        """The bundle first; the servers stop with `running`."""
        self.report(f"{self.model}: starting the servers")
        bundle = self._setup(BUNDLE, "bundle-server", self.store, self.texts, self.clients)
        yield bundle
        for profile in self.profiles:
            name = f"{BUNDLE}, {profile} profile"
            yield self._setup(name, f"{profile}-server", self.store, self.texts, self.clients, profile=profile)
        samples = [sample for samples in self.texts.values() for sample in samples]
        if reason := obstacle(self.unpacked, self.export, samples):
            self.report(f"{self.model}: {PLAIN}: left out: {reason}")
        else:
            yield self._plain()
        yield self._padded(ONE_WORKER, "one", handler_settings(self.unpacked).threads)
        yield self._padded(ONE_WORKER_ALL_CORES, "all", bundle.server.workers)

    @property
    def unpacked(self) -> Path:
        return self.root / "model"

    @property
    def export(self) -> Path:
        return self.runs / self.model / "export"

    def _plain(self) -> Setup:
        """Its answers are those of fp32, which INT8's need not equal: their shape is checked."""
        store = self.root / "plain-store"
        pack_plain(self.unpacked, self.export, self.root / "plain", store / f"{self.model}.mar")
        unknown = {name: [Sample(sample.request, None) for sample in samples] for name, samples in self.texts.items()}
        few = sorted({min(count, PLAIN_CLIENTS) for count in self.clients})
        return self._setup(PLAIN, "plain-server", store, unknown, few, workers="1")

    def _padded(self, name: str, key: str, threads: int) -> Setup:
        store, folder = self.root / f"{key}-store", self.root / key
        unpack(self.store / f"{self.model}.mar", folder)
        pack_with(folder, whole_batches(folder) | {"threads": threads}, store / f"{self.model}.mar")
        return self._setup(name, f"{key}-server", store, self.texts, self.clients, workers="1")

    def _setup(
        self, name: str, folder: str, store: Path, texts: Texts, clients: Sequence[int], **options: str
    ) -> Setup:
        server = self.running.enter_context(serving(store, [self.model], self.root / folder, **options))
        labels = read_labels(self.store / f"{self.model}.mar")
        plans = {kind: Plan(server.target, self.model, samples, labels) for kind, samples in texts.items()}
        return Setup(name, server, plans, clients)
