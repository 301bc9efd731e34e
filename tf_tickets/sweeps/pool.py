"""Points mapped over processes, a few at a time, that stop together."""

import concurrent.futures
import contextlib
import queue
import subprocess
import threading
import typing
from collections.abc import Callable, Iterator

_PATIENCE = 0.2


class Children:
    """The processes that are running; after `stop` none starts any more."""

    def __init__(self):
        self._lock, self._running, self.stopping = threading.Lock(), [], False

    def start(self, words: list[str], **options: typing.Any) -> subprocess.Popen | None:
        """A subprocess.Popen; None after `stop`.

        The process stays in this one's group, so that what ends the group leaves no run behind.
        """
        with self._lock:
            if self.stopping:
                return None
            self._running = [process for process in self._running if process.poll() is None]
            self._running.append(subprocess.Popen(words, **options))
            return self._running[-1]

    def stop(self) -> None:
        """Asks every running process to save its state and end, once."""
        with self._lock:
            if self.stopping:
                return
            self.stopping = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()


def map_points(function: Callable, points: list, shares: list, stop: Callable[[], bool] = lambda: False) -> Iterator:
    """Calls a function on every point, as many at a time as there are shares of the machine.

    Args:
      function: (point, share, Children) -> result; runs in a thread and starts its processes through the Children.
      points: list.
      shares: list of what is handed to `function`, one per worker.
      stop: asked a few times a second; when true, the running processes are asked to end and no other starts.

    Yields:
      The results, in the order in which they come; after a stop also of the points that were not started.
    """
    children, free = Children(), queue.SimpleQueue()
    for share in shares:
        free.put(share)

    def work(point):
        share = free.get()
        try:
            return function(point, share, children)
        finally:
            free.put(share)

    with concurrent.futures.ThreadPoolExecutor(len(shares)) as threads:
        try:
            waiting = {threads.submit(work, point) for point in points}
            while waiting:
                if stop():
                    children.stop()
                done, waiting = concurrent.futures.wait(waiting, _PATIENCE, concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            children.stop()  # also when the caller gives up: the threads wait for their processes
