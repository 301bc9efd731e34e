"""Where the chief listens: the address of TF_CONFIG, or the one that leads to the workers."""

import socket

import pytest
from torture.worker_runs import free_ports

from tf_tickets import errors
from tf_tickets.workers import addresses
from tf_tickets.workers import tf_config as clusters


@pytest.mark.parametrize("text", [
    "[" * 100_000, '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1e400}}',
    '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": true}}',
    '{"cluster": {"worker": ["a..b:1"]}, "task": {"type": "worker", "index": 0}}',
])  # fmt: skip
def test_a_hostile_tf_config_is_one_line(text):
    with pytest.raises(errors.UsageError, match="cannot be read"):
        clusters.read({"TF_CONFIG": text})


class TestAddresses:
    def of(self, monkeypatch, names, chief, worker, own=("127.0.0.1", "10.0.0.5"), route="10.0.0.5"):
        """Where the chief of a machine with some addresses listens, when names stand for addresses as given."""

        def resolved(host, port):
            return [(socket.AF_INET, (address, port)) for address in names.get(host, [host])]

        monkeypatch.setattr(addresses, "_resolved", resolved)
        monkeypatch.setattr(addresses, "_is_own", lambda family, address: address[0] in own)
        monkeypatch.setattr(addresses, "_route", lambda family, address, port: [(family, (route, port))])
        found = addresses.own_addresses(clusters.Cluster((f"{chief}:2222", f"{worker}:2222"), 0))
        return [address for _, address in found]

    def test_the_address_of_tf_config_alone(self, monkeypatch):
        assert self.of(monkeypatch, {}, "127.0.0.1", "127.0.0.1") == [("127.0.0.1", 2222)]
        assert self.of(monkeypatch, {}, "127.0.0.1", "10.0.0.6") == [("127.0.0.1", 2222)]
        assert self.of(monkeypatch, {}, "10.0.0.5", "10.0.0.6") == [("10.0.0.5", 2222)]
        assert self.of(monkeypatch, {"host0": ["10.0.0.5"]}, "host0", "10.0.0.6") == [("10.0.0.5", 2222)]
        assert self.of(monkeypatch, {"localhost": ["127.0.0.1"]}, "localhost", "10.0.0.6") == [("127.0.0.1", 2222)]

    def test_where_that_is_no_address_of_this_machine_the_one_that_leads_to_the_workers(self, monkeypatch):
        translated = self.of(monkeypatch, {}, "203.0.113.9", "203.0.113.10")
        assert translated == [("10.0.0.5", 2222)]
        assert self.of(monkeypatch, {"host0": []}, "host0", "10.0.0.6") == [("10.0.0.5", 2222)]

    def test_a_name_that_is_loopback_to_its_own_machine(self, monkeypatch):
        names = {"host0": ["127.0.0.1"]}
        assert self.of(monkeypatch, names, "host0", "10.0.0.6") == [("127.0.0.1", 2222), ("10.0.0.5", 2222)]
        alone = self.of(monkeypatch, names, "host0", "host0", route="127.0.0.1")
        assert alone == [("127.0.0.1", 2222)]

    def test_another_machine_s_address_is_named(self, monkeypatch):
        monkeypatch.setattr(addresses, "own_addresses", lambda cluster: [])
        with pytest.raises(errors.UsageError, match="203.0.113.9 is no address of this machine"):
            addresses.listeners(clusters.Cluster(("203.0.113.9:1", "a:1"), 0), 1)

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(errors.UsageError, match=f"port {port} of the chief cannot be opened"):
                addresses.listeners(clusters.Cluster((f"127.0.0.1:{port}", "a:1"), 0), 1)

    def test_other_interfaces_do_not_answer(self):
        (port,) = free_ports(1)
        found = addresses.listeners(clusters.Cluster((f"127.0.0.1:{port}", "127.0.0.1:1"), 0), 1)
        assert [each.getsockname() for each in found] == [("127.0.0.1", port)]
        with pytest.raises(OSError):  # all of 127/8 is this machine
            socket.create_connection(("127.0.0.2", port), timeout=2)
        for each in found:
            each.close()

    def test_the_system_knows_its_own_addresses_and_routes(self):
        assert addresses._is_own(socket.AF_INET, ("127.0.0.1", 1))
        assert not addresses._is_own(socket.AF_INET, ("203.0.113.9", 1))
        assert addresses._route(socket.AF_INET, ("127.0.0.1", 9), 2222) == [(socket.AF_INET, ("127.0.0.1", 2222))]
