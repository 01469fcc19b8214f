"""Where everything lies under the platform's home directory."""

import os
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

# The kernel takes at most 107 bytes; some libraries fewer.
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Paths:
    """Names only: nothing is created here."""

    home: Path

    @property
    def redis(self) -> Path:
        return self.home / "redis"

    @property
    def redis_socket(self) -> Path:
        """The socket of the embedded Redis.

        Under a deep home it moves to the temporary directory, into a folder of this user and this
        home. Whoever creates that folder makes it mode 0700 and refuses one that is not theirs.
        """
        socket = self.redis / "redis.sock"
        if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
            return socket
        digest = sha256(os.fsencode(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"ballast-{os.getuid()}-{digest}" / "redis.sock"

    @property
    def history(self) -> Path:
        return self.home / "history"

    @property
    def datasets(self) -> Path:
        return self.home / "datasets"

    @property
    def functions(self) -> Path:
        return self.home / "functions"

    @property
    def mlflow_db(self) -> Path:
        return self.home / "mlflow.db"

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def key_file(self) -> Path:
        return self.home / "admin.key"
