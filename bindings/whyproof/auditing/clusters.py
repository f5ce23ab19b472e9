"""Executors of clusters: Dask, Ray, MPI and Slurm, reached by what users already run.

Each function returns a runner over a `concurrent.futures.Executor`, and closes it at the
end.  Nothing here knows about explanations; packages are imported when they are asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, ParamSpec, TypeVar, cast

from whyproof.engine.errors import InputError, MissingExtraError

from .processes import usable_cores
from .runners import OnExecutor

__all__ = ["on_dask", "on_mpi", "on_ray", "on_slurm", "workers_of"]

_Call = ParamSpec("_Call")
_Result = TypeVar("_Result")

_CONNECT_SECONDS = 10.0


@contextmanager
def on_dask(scheduler: str, jobs: int = 0) -> Generator[OnExecutor]:
    """Work on a Dask cluster.

    Parameters
    ----------
    scheduler
        Address such as ``tcp://10.0.0.1:8786``, a scheduler file, or ``local`` for a
        cluster of processes on this machine.
    jobs
        Processes of a local cluster; one per core by default.

    Raises
    ------
    InputError
        If no scheduler answers, or it has no workers.
    MissingExtraError
        Without Dask.
    """
    try:
        import distributed as package
    except ImportError as error:
        raise MissingExtraError("distributed", "dask", "work on a Dask cluster") from error
    distributed: Any = package
    cluster: Any = None
    try:
        if scheduler == "local":
            cluster = distributed.LocalCluster(
                n_workers=jobs or usable_cores(),
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=50,
            )
            client: Any = distributed.Client(cluster)
        elif Path(scheduler).is_file():
            client = distributed.Client(scheduler_file=scheduler, timeout=_CONNECT_SECONDS)
        else:
            client = distributed.Client(scheduler, timeout=_CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler}: {_short(error)}; check the address, or "
            "start one with: dask scheduler"
        ) from error
    try:
        workers = _dask_workers(client)
        if not workers:
            raise InputError(
                f"the Dask scheduler at {scheduler} has no workers; start some with: "
                f"dask worker {scheduler} --nthreads 1"
            )
        # A unit that kills its worker comes back at once: retries are decided here.
        yield OnExecutor(client.get_executor(pure=False, retries=0), workers)
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def _dask_workers(dask: object) -> int:
    """Return the number of threads of a cluster, waiting a little for the first one."""
    client = cast("Any", dask)
    until = time.monotonic() + _CONNECT_SECONDS
    while not (threads := client.nthreads()) and time.monotonic() < until:
        time.sleep(0.1)
    return sum(int(count) for count in threads.values())


@contextmanager
def on_ray(address: str, jobs: int = 0) -> Generator[OnExecutor]:
    """Work on a Ray cluster.

    Parameters
    ----------
    address
        As `ray.init` takes it, ``auto`` for the cluster of this machine, or ``local`` to
        start one here.
    jobs
        Processes of a local cluster; one per core by default.

    Raises
    ------
    InputError
        If no cluster answers.
    MissingExtraError
        Without Ray.
    """
    try:
        import ray as package
    except ImportError as error:
        raise MissingExtraError("ray", "ray", "work on a Ray cluster") from error
    ray: Any = package
    cores = jobs or usable_cores()
    # A cluster that is started here reports to nobody; others are set up by their owners.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        if address == "local":
            ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"no Ray cluster answers at {address}: {_short(error)}; check the address, or start "
            "one with: ray start --head"
        ) from error
    try:
        workers = int(ray.cluster_resources().get("CPU", cores))
        yield OnExecutor(_RayExecutor(ray.remote(max_retries=0)(_called).remote), max(1, workers))
    finally:
        ray.shutdown()


class _RayExecutor(Executor):
    """Ray tasks as futures."""

    def __init__(self, remote: Callable[..., object]) -> None:
        self._remote = remote

    def submit(
        self, fn: Callable[_Call, _Result], /, *args: _Call.args, **kwargs: _Call.kwargs
    ) -> Future[_Result]:
        reference: Any = self._remote(fn, args, kwargs)
        future: Future[_Result] = reference.future()
        return future


def _called(
    function: Callable[..., object], arguments: Sequence[object], named: Mapping[str, object]
) -> object:
    return function(*arguments, **named)


@contextmanager
def on_mpi(jobs: int = 0) -> Generator[OnExecutor]:
    """Work on the processes of an MPI job: ``mpiexec -n 8 python -m mpi4py.futures ...``.

    Raises
    ------
    MissingExtraError
        Without mpi4py.
    InputError
        Without an MPI library.
    """
    try:
        from mpi4py import futures
    except ImportError as error:
        raise MissingExtraError("mpi4py", "mpi", "work on the processes of an MPI job") from error
    except RuntimeError as error:
        raise InputError(
            f"mpi4py finds no MPI library: {_short(error)}; install one, such as MPICH or Open MPI"
        ) from error
    pool: Any = futures.MPIPoolExecutor
    with pool(jobs or None) as executor:
        executor.bootup()
        yield OnExecutor(executor, max(1, int(executor.num_workers)))


@contextmanager
def on_slurm(
    folder: str, jobs: int, *, minutes: int = 60, options: dict[str, Any] | None = None
) -> Generator[OnExecutor]:
    """Work in Slurm jobs through submitit; without Slurm they run on this machine.

    Each unit is a job, so that this suits rows of minutes.  For rows of milliseconds run
    workers of Dask in the jobs (``dask_jobqueue.SLURMCluster``) and give the scheduler's
    address to `on_dask`.

    Parameters
    ----------
    folder
        Where submitit keeps its files; all machines must see it.
    jobs
        Jobs at once.
    minutes
        Time limit of one job.
    options
        More for `submitit.AutoExecutor.update_parameters`, such as ``slurm_partition``;
        ``cluster`` may be ``local`` to use this machine although there is Slurm.
    """
    try:
        import submitit
    except ImportError as error:
        raise MissingExtraError("submitit", "slurm", "work in Slurm jobs") from error
    more = dict(options or {})
    inner: Any = submitit.AutoExecutor(folder=folder, cluster=more.pop("cluster", None))
    inner.update_parameters(timeout_min=minutes, **more)
    yield OnExecutor(_JobExecutor(inner.submit), jobs, keeps=False)


class _JobExecutor(Executor):
    """Jobs of submitit as futures; one thread waits for each."""

    def __init__(self, submit: Callable[..., object]) -> None:
        self._submit = submit

    def submit(
        self, fn: Callable[_Call, _Result], /, *args: _Call.args, **kwargs: _Call.kwargs
    ) -> Future[_Result]:
        job: Any = self._submit(fn, *args, **kwargs)
        future: Future[_Result] = Future()
        future.set_running_or_notify_cancel()

        def wait() -> None:
            try:
                future.set_result(job.result())
            except Exception as error:
                future.set_exception(error)

        Thread(target=wait, daemon=True).start()
        return future


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def workers_of(executor: Executor) -> int:
    """Guess how many units an executor does at once."""
    told = getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None)
    return int(told) if isinstance(told, int) and told > 0 else os.cpu_count() or 1
