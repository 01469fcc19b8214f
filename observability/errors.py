"""Everything that can go wrong in this room, as one tree."""


class ObservabilityError(Exception):
    """The root: catch this to catch whatever this room raises."""


class LedgerError(ObservabilityError):
    """The decision ledger could not do what was asked."""


class LedgerUnavailableError(LedgerError):
    """What the ledger needs is away: an entry cannot be written, or its stream cannot be read."""


class LedgerClosedError(LedgerError):
    """The writer was closed: it takes no more decisions."""


class DamagedEntryError(LedgerError):
    """These bytes are not a ledger entry."""


class SpoolError(LedgerError):
    """The spool file could not be written, read or locked."""


class SpoolTakenError(SpoolError):
    """A living process holds this spool file."""


class ClickhouseError(ObservabilityError):
    """The column store could not do what was asked."""


class ClickhouseUnavailableError(ClickhouseError):
    """The column store did not answer: it is away, closed, or took too long."""


class QueryRejectedError(ClickhouseError):
    """The column store understood the connection but refused the statement."""


class FolderTakenError(ClickhouseError):
    """Another owner, in this process or another, has the embedded store's folder open."""


class ArchiveElsewhereError(ClickhouseError):
    """The archive lies in another folder, perhaps of a node that is away; this one is not it."""


class ServerTakenError(ClickhouseError):
    """Another platform writes into the ClickHouse server that this one names."""


class SnapshotError(ObservabilityError):
    """A replica's metrics snapshot cannot be read."""
