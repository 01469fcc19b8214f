"""The public port's listening socket."""

import errno
import socket

from launch.errors import ForeignAddressError, PortForbiddenError, PortTakenError

# As long as the kernel lets it be: whoever connects while HAProxy starts again waits in it.
BACKLOG = 65_535


def listen(host: str, port: int) -> socket.socket:
    """Open the port; from now on clients may connect, and wait until somebody serves them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def open_port(host: str, port: int) -> socket.socket:
    """Open the public port, or say what is wrong with its address."""
    try:
        return listen(host, port)
    except PermissionError:
        raise PortForbiddenError(port) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port, "BALLAST_PORT") from None
        raise ForeignAddressError(host) from None
