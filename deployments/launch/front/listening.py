"""The public port's listening socket."""

import socket

# As long as the kernel lets it be: whoever connects while HAProxy starts again waits in it.
BACKLOG = 65_535


def listen(host: str, port: int) -> socket.socket:
    """Open the port; from now on clients may connect, and wait until somebody serves them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
