"""The parent of a search's workers: starts them, watches them, and replaces the dead while points are left."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.context import SpawnProcess

from cxreader.errors import CxreaderError
from cxreader.study.search.record import Trial, read_trial, trial_folder
from cxreader.study.search.store import FINISHED, SearchStore, TrialStatus
from cxreader.study.search.worker import Task, record_deaths, spawned

_LOOK = 1.0  # seconds between two looks at the storage
_DEATHS_IN_VAIN = 3


def run_workers(task: Task, store: SearchStore, workers: int, ended: Callable[[Trial], None]) -> None:
    """Return when every point is finished; `ended` is told each trial. Raises CxreaderError when workers die at once.

    No worker outlives this call, whatever ends it.
    """
    alive: list[SpawnProcess] = []
    told = {standing.place for standing in _finished(task, store)}
    in_vain = 0
    try:
        while (left := store.size - len(told)) > 0:
            alive += [_start(task) for _ in range(min(workers, left) - len(alive))]
            connection.wait([process.sentinel for process in alive], timeout=_LOOK)
            dead = [process for process in alive if not process.is_alive()]
            alive = [process for process in alive if process not in dead]
            in_vain += len([p for p in dead if p.exitcode and p.pid not in store.claimants()])
            for standing in _finished(task, store):
                if standing.place not in told:
                    told.add(standing.place)
                    ended(read_trial(trial_folder(task.folder, standing.place, standing.point)))
            if in_vain >= _DEATHS_IN_VAIN:
                what = f"workers end before they try anything (exit code {dead[-1].exitcode})"
                mend = "call the search under: if __name__ == '__main__': or with one worker, to see the error"
                raise CxreaderError(what, where=task.folder, mend=mend)
    finally:
        for process in alive:
            process.kill()
            process.join()


def _start(task: Task) -> SpawnProcess:
    process = mp.get_context("spawn").Process(target=spawned, args=(task,))
    process.start()
    return process


def _finished(task: Task, store: SearchStore) -> list[TrialStatus]:
    return [standing for standing in record_deaths(task.config, store) if standing.state in FINISHED]
