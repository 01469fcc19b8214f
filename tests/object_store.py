"""A store of objects in memory that speaks as much of S3 as a broker asks for to keep its logs."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_LISTED = "<Contents><Key>{key}</Key><LastModified>2026-03-02T14:30:00.000Z</LastModified>\
<ETag>{etag}</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
_LIST = '<?xml version="1.0" encoding="UTF-8"?>\
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>\
{contents}{prefixes}</ListBucketResult>'


class _Objects(BaseHTTPRequestHandler):
    """One bucket; a write may demand that the object is not there yet, or is as it was read."""

    protocol_version = "HTTP/1.1"
    objects: ClassVar[dict[str, bytes]]
    writing: ClassVar[threading.Lock]

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        if "list-type" in query:
            prefix = query.get("prefix", [""])[0]
            self._answer(HTTPStatus.OK, self._list(prefix, "delimiter" in query))
        elif (found := self.objects.get(_key(asked.path))) is None:
            self._answer(HTTPStatus.NOT_FOUND)
        else:
            self._answer(HTTPStatus.OK, found, found)

    def do_HEAD(self) -> None:
        found = self.objects.get(_key(self.path))
        self._answer(HTTPStatus.NOT_FOUND if found is None else HTTPStatus.OK, b"", found)

    def do_PUT(self) -> None:
        key = _key(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.writing:
            before = self.objects.get(key)
            matches = before is not None and self.headers["if-match"] == _etag(before)
            refused = (self.headers["if-match"] is not None and not matches) or (
                self.headers["if-none-match"] == "*" and before is not None
            )
            if not refused:
                self.objects[key] = body
        self._answer(HTTPStatus.PRECONDITION_FAILED if refused else HTTPStatus.OK, b"", body)

    def do_DELETE(self) -> None:
        self.objects.pop(_key(self.path), None)
        self._answer(HTTPStatus.NO_CONTENT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log nothing."""

    def _list(self, prefix: str, folders: bool) -> bytes:
        below, contents = set(), ""
        for key in sorted(self.objects):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if folders and "/" in rest:
                below.add(prefix + rest.partition("/")[0] + "/")
                continue
            body = self.objects[key]
            contents += _LISTED.format(key=escape(key), etag=escape(_etag(body)), size=len(body))
        prefixes = "".join(
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
            for each in sorted(below)
        )
        return _LIST.format(contents=contents, prefixes=prefixes).encode()

    def _answer(self, status: HTTPStatus, body: bytes = b"", found: bytes | None = None) -> None:
        self.send_response(status)
        if found is not None:
            self.send_header("etag", _etag(found))
            self.send_header("last-modified", "Mon, 02 Mar 2026 14:30:00 GMT")
        length = len(found) if self.command == "HEAD" and found is not None else len(body)
        self.send_header("content-length", str(length))
        self.end_headers()
        self.wfile.write(body)


def _key(path: str) -> str:
    return unquote(path).removeprefix("/").partition("/")[2]


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


@contextmanager
def running() -> Iterator[str]:
    """Serve an empty bucket, and give its address."""
    handler = type("Bucket", (_Objects,), {"objects": {}, "writing": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
