"""Opening sockets without waiting deaf: the system may think for long about a name."""

import concurrent.futures
import socket
import threading
from collections.abc import Callable

from tf_tickets.errors import TicketError
from tf_tickets.workers.wire import LOOK_SECONDS


def promptly(function: Callable[[], list[socket.socket]], heed: Callable[[], object]) -> list[socket.socket]:
    """The sockets that a function opens.

    Args:
      function: opens and returns them, or raises OSError or a TicketError; called in a thread, which ends by itself.
      heed: called a few times a second; what it raises ends the wait, and all that `function` opens is closed, however
        late that is.

    Raises:
      OSError, TicketError: what `function` raised, or `heed`.
    """
    opened = concurrent.futures.Future()

    def work():
        try:
            opened.set_result(function())
        except (OSError, TicketError) as error:
            opened.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        heed()
        while not concurrent.futures.wait([opened], LOOK_SECONDS).done:
            heed()
    except BaseException:
        opened.add_done_callback(_close)
        raise
    return opened.result()


def _close(opened):
    for each in [] if opened.exception() else opened.result():
        each.close()
