"""The parent of a search's workers: starts them, watches them, and replaces the dead while points are left."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.context import SpawnProcess

from cxreader.errors import CxreaderError
from cxreader.study.search.leases import attempted_by, finished_trials
from cxreader.study.search.record import Trial
from cxreader.study.search.worker import Task, spawned

Ended = Callable[[Trial], None]
_LOOK = 1.0  # seconds between two looks at the folders
_DEATHS_IN_VAIN = 3


def run_workers(task: Task, n_trials: int, workers: int, ended: Ended) -> None:
    """Return when `n_trials` points are finished; `ended` is told each trial. Raises CxreaderError when workers die at once.

    No worker outlives this call, whatever ends it.
    """
    alive: list[SpawnProcess] = []
    finished = {trial.folder for trial in finished_trials(task.folder, task.session)}
    in_vain = 0
    try:
        while (left := n_trials - len(finished)) > 0:
            alive += [_start(task) for _ in range(min(workers, left) - len(alive))]
            connection.wait([process.sentinel for process in alive], timeout=_LOOK)
            dead = [process for process in alive if not process.is_alive()]
            alive = [process for process in alive if process not in dead]
            in_vain += len([p for p in dead if p.exitcode and str(p.pid) not in attempted_by(task.folder)])
            for trial in finished_trials(task.folder, task.session, finished):
                finished.add(trial.folder)
                ended(trial)
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
