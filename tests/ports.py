"""Ports for servers that go away and come back."""

import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def lasting() -> int:
    """A free port of loopback, below those that the kernel gives to clients: none can have it while its server is away."""
    first = int(RANGE.read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(max(1024, first - 16_384), first)
        with socket.socket() as found:
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
