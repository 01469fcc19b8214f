"""What a document has the platform read of its machine: files of secrets, logs, folders of tables.

A path is read with the platform's own rights, and what is in a file of a secret is sent to the
address beside it. So a key that may change the configuration would read the admin's key with it, if
it could name any file: who names one, or another address for one, has to be an admin.
"""

from typing import Any

from config_store.document import ConfigDocument
from config_store.sources import ClickhouseSource, LogsSource, SourceConfig

# Beside the files themselves: where what is in them is sent, and how it is kept from others.
_SENT_TO = ("url", "servers", "topic", "user", "mechanism", "tls", "verify_tls")


def files_named_anew(document: ConfigDocument, before: ConfigDocument | None) -> list[str]:
    """Name the places of a document that read a file which the one before does not read so."""
    known = {} if before is None else before.sources.named
    return [
        f"sources.named.{name}"
        for name, source in sorted(document.sources.named.items())
        if (read := _read(source)) and (name not in known or read != _read(known[name]))
    ]


def _read(source: SourceConfig) -> dict[str, Any]:
    """Give what is read of the machine for a source, and who is sent it; nothing mostly."""
    fields = source.model_dump(mode="json")
    files = {name: each for name, each in fields.items() if name.endswith("_file") and each}
    if isinstance(source, LogsSource):
        files["paths"] = fields["lines"]["paths"]
    if isinstance(source, ClickhouseSource) and source.folder is not None:
        # The engine runs in this platform's own process, with its rights: SQL can name files.
        files |= {"folder": source.folder, "query": fields["query"]}
    if not files:
        return {}
    sent = {name: fields[name] for name in _SENT_TO if name in fields}
    return {"kind": source.kind, **files, **sent}
