"""HAProxy's configuration for the front: what it lets in, for how long, and where it sends it.

docs/decisions/haproxy-mode.md says why each line is there.
"""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from deployments.api import front_ids
from deployments.api.errors import (
    InvalidError,
    NotFoundError,
    OverloadedError,
    RefusedError,
    TooLargeError,
    TooManyConnectionsError,
    TooSlowError,
    UnavailableError,
)
from launch.front.servers import Server

# A request takes two file descriptors; the rest is for health checks and HAProxy itself.
MOST_CONNECTIONS = 16_384
_SPARE_DESCRIPTORS = 500
# Between the limit of an address and this much more, it is told 429; beyond, it is hung up on.
_TOLD = 64

TEMPLATE = """\
global
    stats socket {folder}/{admin} mode 600 level admin
    maxconn {connections}
    nbthread 1
    # For a process that was replaced: longer than an idle connection lives.
    hard-stop-after 90s
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 60s
    timeout queue 5s
    # From the first byte to the last of a head, and of a body as far as the buffer holds it.
    timeout http-request 5s
    timeout http-keep-alive 75s
    # A request can be sent again only while all of it is at hand.
    option http-buffer-request
    retry-on conn-failure empty-response
    retries 20
    option redispatch 1
    option http-no-delay
    option http-ignore-probes
    option abortonclose
    option idle-close-on-response
    option disable-h2-upgrade
    http-reuse always
    balance leastconn
{error_files}
backend addresses
    stick-table type ipv6 size 64k expire 60s store conn_cur
frontend front
    bind fd@{listener}
    tcp-request connection track-sc0 src table addresses
    tcp-request connection reject if {{ sc0_conn_cur gt {hung_up_on} }}
    http-request return status 429 content-type application/json hdr Retry-After 1 hdr Connection close string {too_many} if {{ sc0_conn_cur gt {per_address} }}
    # Serve's own paths and steering headers are not for clients, in whatever spelling.
    http-request return status 404 content-type application/json string {not_found} if {{ path,url_dec -m reg -i '^/+(api/v1/+)?([.]+/+)*-(/|$)' }}
    http-request del-header x-request-disconnect-disabled
    http-request del-header x-request-timeout-seconds
    # By it a request is known that is sent again to another gateway, which may have carried it out.
    unique-id-format {front_id_format}
    http-request del-header {front_id_header}
    http-request set-header {front_id_header} %[unique-id] unless METH_GET
{choice}    default_backend gateways
# Those that know all that holds now. A draining gateway is none of them either.
backend up_to_date
    option httpchk
    http-check connect
    http-check send meth GET uri /-/healthz
    http-check expect status 200
    http-check connect
    http-check send meth GET uri /-/up-to-date
    http-check expect status 200
    timeout check 2s
    default-server check inter 500ms fastinter 250ms downinter 250ms fall 2 rise 2 observe layer4 error-limit 3 on-error mark-down
{told_apart}    server nobody unix@{folder}/{nobody} backup no-check
backend gateways
    option httpchk GET /-/healthz
    http-check expect status 200
    default-server check inter {looks_every} fastinter 250ms downinter 250ms fall 2 rise 2 observe layer4 error-limit 3 on-error mark-down
{servers}    # Without a server at all, HAProxy hangs up on whom it kept alive. This one answers instead.
    server nobody unix@{folder}/{nobody} backup no-check
frontend nobody
    bind unix@{folder}/{nobody} mode 600
    http-request return status 503 content-type application/json hdr Retry-After 1 hdr Cache-Control no-store string {unavailable}
"""  # noqa: E501 - HAProxy's lines are as long as they are
ADMIN = "admin.sock"
NOBODY = "nobody.sock"


NOT_FOUND = NotFoundError("There is nothing at this path")
TOO_MANY = TooManyConnectionsError(
    "There are too many connections from this address: close some, or share them"
)
PAGES: dict[int, RefusedError] = {
    400: InvalidError("The request is not valid HTTP"),
    408: TooSlowError("The request took too long to arrive", retry_after_s=1),
    413: TooLargeError("The request is larger than the limit"),
    500: RefusedError("An internal error occurred"),
    502: UnavailableError("A gateway closed the connection before it had answered: try again"),
    503: UnavailableError("No gateway can answer right now: try again"),
    504: OverloadedError("No gateway answered in time: try again"),
}
# Clients know one status for "come again"; which part was late is of no use to them.
_SENT_AS = {502: 503, 504: 503}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections the front holds."""

    connections: int
    per_address: int

    @classmethod
    def of_this_machine(cls, per_address: int) -> "Limits":
        """Take as many as file descriptors allow."""
        _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
        connections = MOST_CONNECTIONS
        if descriptors != resource.RLIM_INFINITY:
            connections = min(connections, (descriptors - _SPARE_DESCRIPTORS) // 2)
        return cls(connections, min(per_address, connections))


def configuration(folder: Path, listener: int, limits: Limits, servers: Sequence[Server]) -> str:
    """Write the whole configuration, for a listening socket that HAProxy inherits.

    One gateway alone is asked whatever it knows, so it is not asked four times a second what; that
    it died is then seen by this one backend only, which looks the more often.
    """
    told_apart = servers if len(servers) > 1 else ()
    return TEMPLATE.format(
        folder=folder,
        admin=ADMIN,
        listener=listener,
        connections=limits.connections,
        per_address=limits.per_address,
        front_id_format=front_ids.FORMAT,
        front_id_header=front_ids.HEADER,
        hung_up_on=limits.per_address + _TOLD,
        too_many=_quoted(TOO_MANY),
        not_found=_quoted(NOT_FOUND),
        nobody=NOBODY,
        unavailable=_quoted(PAGES[503]),
        error_files="\n".join(f"    errorfile {status} {folder}/{status}.http" for status in PAGES),
        servers=_lines(servers),
        told_apart=_lines(told_apart),
        looks_every="2s" if told_apart else "1s",
        choice=_choice(told_apart),
    )


def _lines(servers: Sequence[Server]) -> str:
    return "".join(f"    server {each.name} {each.address}\n" for each in servers)


def _choice(servers: Sequence[Server]) -> str:
    """Send to those that are up to date while there is one: a straggler is asked last.

    Only here all gateways are seen. Where all are stragglers, as without Redis, all are asked.
    """
    known = [f"    acl up_to_date srv_is_up(up_to_date/{each.name})\n" for each in servers]
    return "".join(known) + ("    use_backend up_to_date if up_to_date\n" if known else "")


def write_pages(folder: Path) -> None:
    """Write the answers that HAProxy gives by itself, in the shape of all our refusals."""
    for status, refusal in PAGES.items():
        (folder / f"{status}.http").write_bytes(page(_SENT_AS.get(status, status), refusal))


def page(status: int, refusal: RefusedError) -> bytes:
    """Write one answer with its head."""
    body = refusal.body("")
    later = refusal.retry_after_s
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        "Cache-Control: no-store",
        *([] if later is None else [f"Retry-After: {later}"]),
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _quoted(refusal: RefusedError) -> str:
    return "'" + refusal.body("").decode() + "'"
