"""Starts the servers that are compared: each variant serves the same model in a way of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.archive import handler_settings, pack_with, unpack, whole_batches
from loadtest.bench.plain_archive import obstacle, pack_plain
from loadtest.bench.server import Served, serving
from loadtest.samples import Sample, read_labels
from loadtest.workload import RequestSet

Texts = Mapping[str, list[Sample]]

# Names of the variants, as the JSON has them, and what people read; BUNDLE alone is the default profile.
BUNDLE, PLAIN, ONE_WORKER, ONE_WORKER_ALL_CORES = "bundle", "plain", "one_worker", "one_worker_all_cores"
LABELS = {
    BUNDLE: "this bundle",
    PLAIN: "plain handler, fp32, fixed length",
    ONE_WORKER: "one worker, padded to the longest",
    ONE_WORKER_ALL_CORES: "the same, its model on every core",
}
# Clients of a server that answers one request at a time: more would only wait longer.
MAX_PLAIN_CLIENTS = 4


def label(variant: str) -> str:
    """Return a variant's name for people; `bundle_latency` is the bundle in the profile `latency`."""
    return LABELS.get(variant) or f"{LABELS[BUNDLE]}, {variant.removeprefix(f'{BUNDLE}_')} profile"


@dataclass(frozen=True)
class Variant:
    """A running server, what to send to it by the name of the texts, and the numbers of clients to do so."""

    name: str
    server: Served
    requests: Mapping[str, RequestSet]
    clients: Sequence[int]


@dataclass(frozen=True)
class Starter:
    """Starts the variants of one model; `root` is a folder for their files, its `model` the unpacked archive.

    `texts` are the requests by the name of their lengths. The servers stop with `running`.
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

    def start(self) -> Iterator[Variant]:
        """Yield the running variants, the bundle first."""
        self.report(f"{self.model}: starting the servers")
        bundle = self._variant(BUNDLE, self.store, self.texts, self.clients)
        yield bundle
        for profile in self.profiles:
            yield self._variant(f"{BUNDLE}_{profile}", self.store, self.texts, self.clients, profile=profile)
        samples = [sample for samples in self.texts.values() for sample in samples]
        if reason := obstacle(self.unpacked, self.export, samples):
            self.report(f"{self.model}: {label(PLAIN)}: left out: {reason}")
        else:
            yield self._plain()
        yield self._padded(ONE_WORKER, handler_settings(self.unpacked).threads)
        yield self._padded(ONE_WORKER_ALL_CORES, bundle.server.workers)

    @property
    def unpacked(self) -> Path:
        return self.root / "model"

    @property
    def export(self) -> Path:
        return self.runs / self.model / "export"

    def _plain(self) -> Variant:
        """Serve the plain archive; its answers are those of fp32, so that only their shape is checked."""
        store = self.root / "plain-store"
        pack_plain(self.unpacked, self.export, self.root / PLAIN, store / f"{self.model}.mar")
        unknown = {name: [Sample(sample.request, None) for sample in samples] for name, samples in self.texts.items()}
        clients = sorted({min(count, MAX_PLAIN_CLIENTS) for count in self.clients})
        return self._variant(PLAIN, store, unknown, clients, workers="1")

    def _padded(self, name: str, threads: int) -> Variant:
        store, folder = self.root / f"{name}-store", self.root / name
        unpack(self.store / f"{self.model}.mar", folder)
        pack_with(folder, whole_batches(folder) | {"threads": threads}, store / f"{self.model}.mar")
        return self._variant(name, store, self.texts, self.clients, workers="1")

    def _variant(self, name: str, store: Path, texts: Texts, clients: Sequence[int], **options: str) -> Variant:
        server = self.running.enter_context(serving(store, [self.model], self.root / f"{name}-server", **options))
        labels = read_labels(self.store / f"{self.model}.mar")
        requests = {kind: RequestSet(server.target, self.model, samples, labels) for kind, samples in texts.items()}
        return Variant(name, server, requests, clients)
