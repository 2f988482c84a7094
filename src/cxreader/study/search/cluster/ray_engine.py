"""A search on the machines of a Ray cluster: workers there train, this machine alone gives points out and keeps the results.

Nothing is shared: pixels and weights are sent to each machine once, and the files of a trial come back when it ends. Ray
neither restarts workers nor repeats calls: a point whose worker dies is given out again, from its beginning.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Self

from cxreader.cluster.connection import connected, require_cluster_address
from cxreader.cluster.workers import CORES, LOST, TICK, Kind, Worker, Workers

# isort: split
import ray

from cxreader.errors import CxreaderError
from cxreader.progress import Say, silent
from cxreader.study.search.cluster import arrivals
from cxreader.study.search.cluster.carried import Sender
from cxreader.study.search.cluster.messages import Epoch, Over, Piece
from cxreader.study.search.cluster.trial_worker import TrialWorker
from cxreader.study.search.leases import SearchLeases, TrialLease, finished_trials
from cxreader.study.search.pool import Ended
from cxreader.study.search.record import trial_folder, write_table
from cxreader.study.search.worker import Attempt, Task, verdict

_ALIKE = "install the same versions of cxreader and of what it trains with on every machine"


class RayTrials:
    """Tries the points of searches on a Ray cluster within its block: the `engine` of `search` and `train_rows`.

    `address` as `connected` takes it. `cores` of each training; fewer where no machine of the cluster has so many. Where the
    cluster has GPUs and `training.accelerator` is not cpu, each training has one. Standard output goes nowhere within the
    block: `say` and those whom `search` tells must not print there. Raises UsageError where no cluster answers.
    """

    def __init__(self, address: str | None = None, *, cores: int = CORES, say: Say = silent) -> None:
        require_cluster_address(address)
        self._address, self._cores, self._say = address, cores, say

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            opened.enter_context(connected(self._address, self._say))
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __call__(self, task: Task, n_trials: int, ended: Ended) -> None:
        """Return when `n_trials` points are finished; `ended` is told each trial.

        Raises UsageError where no worker of the cluster can be used, and what a worker raises that no point is to blame for.
        """
        gpus = int(task.config.training.accelerator != "cpu" and ray.cluster_resources().get("GPU", 0) >= 1)
        sender = Sender(task, gpu=gpus == 1)
        kind = Kind(TrialWorker, sender.carried, str, _ALIKE, sender.served, self._cores, gpus)
        finished = {trial.folder for trial in finished_trials(task.folder, task.session)}
        with ExitStack() as opened:
            leases = opened.enter_context(closing(SearchLeases(task.folder, task.config, task.session)))
            workers = Workers[TrialLease](kind, self._say)
            opened.callback(_end, workers)
            while len(finished) < n_trials:
                workers.tend()
                for worker in workers.ready():
                    if not worker.tasks and (lease := leases.take()) is not None:
                        arrivals.clear(_folder(leases, lease))
                        attempt = Attempt(lease.place, lease.point, lease.attempt)
                        worker.tasks.append((lease, worker.actor.try_point.remote(attempt)))
                for worker in workers.heard(TICK):
                    if worker.loading is not None:
                        workers.loaded(worker)
                    else:
                        self._received(worker, workers, leases)
                for trial in finished_trials(task.folder, task.session, finished):
                    finished.add(trial.folder)
                    ended(trial)

    def _received(self, worker: Worker[TrialLease], workers: Workers[TrialLease], leases: SearchLeases) -> None:
        """What a worker says of its trial, and its answer; or its death."""
        lease, said = worker.tasks[0]
        try:
            _, message = ray.get(said, timeout=LOST)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError:
            workers.drop(worker)
            lease.file.close()
            self._say(f"Ray: a worker ended in trial {lease.place + 1}")
            return
        answer = None
        match message:
            case CxreaderError():
                raise message
            case Epoch(phase, figures, step):
                answer = verdict(leases.config, lease, phase, figures, step)
            case Piece(name, content):
                arrivals.keep(_folder(leases, lease), name, content)
            case Over(state, score):
                worker.tasks.clear()
                with lease.file:
                    arrivals.take_over(_folder(leases, lease))
                    leases.end(lease, state, score)
                    write_table(leases.folder)
                return
        worker.tasks[0] = (lease, worker.actor.continue_with.remote(answer))


def _folder(leases: SearchLeases, lease: TrialLease) -> Path:
    return trial_folder(leases.folder, lease.place, lease.point)


def _end(workers: Workers[TrialLease]) -> None:
    """Their points are free again, and none of them goes on."""
    for worker in workers.ready():
        for lease, _ in worker.tasks:
            lease.file.close()
    workers.close()
