"""Processes that work side by side for one that waits for them."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any


@contextmanager
def side_by_side(
    n_processes: int, prepare: Callable[..., None] | None = None, *arguments: Any
) -> Iterator[Callable[..., Future[Any]]]:
    """Yields a function that has a process call another function, with arguments, and tell.

    prepare: called with `arguments` first of all in each process. An interrupt reaches the caller
    alone; what is being done at the end is done to its end, and the rest dropped. Processes end
    with the caller, however that ends. Raises ChildProcessError when one of them is stopped.
    """
    pool = ProcessPoolExecutor(
        n_processes,
        # Fresh interpreters: a fork has neither the threads nor the CUDA that torch has started.
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(prepare, arguments),
    )
    # In a thread, which no interrupt reaches halfway through the start of a process; and which lets
    # none through to the processes, since they inherit what it blocks.
    starter = ThreadPoolExecutor(
        1, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, {signal.SIGINT})
    )

    def submit(function: Callable[..., Any], *given: Any) -> Future[Any]:
        return starter.submit(lambda: pool.submit(function, *given)).result()

    try:
        yield submit
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "A process at work was stopped; perhaps memory ran out, of which fewer processes need "
            "less."
        ) from error
    finally:
        starter.shutdown()
        pool.shutdown(cancel_futures=True)


def _begin(prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare(*arguments)


def _end_with_parent() -> None:
    """A parent that is killed cannot say that there is no more to do."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
