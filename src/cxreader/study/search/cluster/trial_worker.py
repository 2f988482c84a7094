"""What trains in a process of a cluster's machine. It shares no folder with its driver: all it needs and makes is sent."""

from __future__ import annotations

import platform
from functools import partial
from typing import Any

from cxreader import torch_setup  # noqa: F401 - before timm and Lightning
from cxreader.machine import cores, keep_pages

# isort: split
import torch

from cxreader.errors import CxreaderError, UsageError
from cxreader.progress import no_bar, silent
from cxreader.runs import RunFolder
from cxreader.study.search.cluster.carried import CarriedSearch
from cxreader.study.search.cluster.dialogue import Ask, Dialogue
from cxreader.study.search.cluster.messages import Epoch, Over, Piece
from cxreader.study.search.cluster.node_cache import NodeCache, pieces
from cxreader.study.search.worker import Attempt, prepare_outputs, try_point
from cxreader.training.devices import require_devices

PIECE = 16 << 20
"""Bytes of a file that are sent at a time, at most."""


class TrialWorker:
    """In a process of a cluster's machine: tries one point after another, a message at a time.

    Every method gives the machine's name and what the worker says, for which it waits until `continue_with` brings the answer.
    """

    def load(self, carried: CarriedSearch) -> tuple[str, Any]:
        """Compare versions, then see to pixels and weights: at last what is wrong here, "" for nothing, or a CxreaderError."""
        keep_pages()
        self._carried, self._stored = carried, False
        return self._begun(self._prepare)

    def try_point(self, attempt: Attempt) -> tuple[str, Any]:
        """Try a point from its beginning: its epochs, its files, `Over`; or a CxreaderError that no point is to blame for."""
        return self._begun(partial(self._try, attempt))

    def continue_with(self, answer: Any) -> tuple[str, Any]:
        """What it says next."""
        try:
            return platform.node(), self._dialogue.go_on(answer)
        except CxreaderError as error:
            return platform.node(), error

    def _begun(self, work: Any) -> tuple[str, Any]:
        self._dialogue = Dialogue(work)
        return self.continue_with(None)

    def _prepare(self, ask: Ask) -> str:
        different = self._carried.differences()
        if different:
            return different
        require_devices(self._carried.config.training.accelerator)
        if self._carried.gpu and not torch.cuda.is_available():
            mend = "install torch for this machine's GPU there, or set training.accelerator to cpu"
            raise UsageError("torch finds no GPU, though Ray has one", where="training.accelerator", mend=mend)
        self._cache = NodeCache(self._carried, ask)
        return ""

    def _try(self, attempt: Attempt, ask: Ask) -> Over:
        torch.set_num_threads(cores())  # of this thread
        config, cache = self._carried.config, self._cache
        if not self._stored:
            run = RunFolder(cache.folder)
            prepare_outputs(config, cache.parts, run, here=cache.here, say=silent, bar=no_bar)
            self._stored = True

        def judge(*told: Any) -> str | None:
            reason: str | None = ask(Epoch(*told))
            return reason

        with cache.trial() as folder:
            state, score = try_point(config, attempt, RunFolder(folder), cache.parts, here=cache.here, judge=judge)
            for name, content in pieces(folder, PIECE):
                ask(Piece(name, content))
        return Over(state, score)
