"""On which addresses of this machine the chief listens: that of TF_CONFIG, and no other interface."""

import ipaddress
import socket

from tf_tickets.errors import UsageError, reason
from tf_tickets.workers.tf_config import Cluster


def listeners(cluster: Cluster, backlog: int) -> list:
    """Sockets that listen at the chief's port.

    Args:
      cluster: whose chief this is.
      backlog: how many calls may wait.

    Raises:
      UsageError: the port is in use, or the chief's host is another machine.
    """
    host, port = cluster.place(0)
    listeners = []
    for family, address in own_addresses(cluster):
        try:
            listeners.append(socket.create_server(address, family=family, backlog=backlog))
        except OSError as error:
            for listener in listeners:
                listener.close()
            raise UsageError(
                f"TF_CONFIG: port {port} of the chief cannot be opened ({reason(error)}); free it"
            ) from None
    if not listeners:
        raise UsageError(
            f"TF_CONFIG: {host} is no address of this machine, and none leads to the other workers; give the chief's"
        )
    return listeners


def own_addresses(cluster: Cluster) -> list:
    """[(family, address)] to listen on.

    They are those that the chief's host stands for, as far as they are this machine's. Where none is, behind address
    translation or in a container, or where a machine's name is its loopback address to itself, they are those by which
    packets leave for the other workers.
    """
    host, port = cluster.place(0)
    own = [(family, address) for family, address in _resolved(host, port) if _is_own(family, address)]
    local = host == "localhost" or _is_literal(host) or any(not _is_loopback(address) for _, address in own)
    if own and local:
        return own
    routes = [
        route for worker in range(1, cluster.size) for family, address in _resolved(*cluster.place(worker))
        for route in _route(family, address, port)
    ]  # fmt: skip
    return list(dict.fromkeys([*own, *routes]))


def _resolved(host, port):
    try:
        listed = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys((family, address) for family, _, _, _, address in listed))


def _is_own(family, address):
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address[0], 0, *address[2:]))
    except OSError:
        return False
    return True


def _route(family, address, port):
    """The address of this machine from which it would send there, which sends nothing."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            own = probe.getsockname()
    except OSError:
        return []
    return [(family, (own[0], port, *own[2:]))]


def _is_loopback(address):
    return ipaddress.ip_address(address[0].partition("%")[0]).is_loopback


def _is_literal(host):
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
