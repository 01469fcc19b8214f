"""TLS between gateways and stages, from the certificates that Ray itself goes by.

Both ends show a certificate of the cluster's own authority, and a gateway checks that the replica's
is for the address that it connects to, as Ray does.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from settings.environment import Settings


@dataclass(frozen=True, slots=True)
class Certificates:
    """A process's own certificate with its key, and the authority's."""

    own: Path
    key: Path
    authority: Path

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """Give the certificates to use; None where TLS is off."""
        own, key = settings.ray_tls_server_cert, settings.ray_tls_server_key
        authority = settings.ray_tls_ca_cert
        if not settings.ray_use_tls or own is None or key is None or authority is None:
            return None  # the settings refuse TLS that lacks a file
        return cls(own, key, authority)

    def for_replica(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.authority)
        context.verify_mode = ssl.CERT_REQUIRED
        return self._with_own(context)

    def for_gateway(self) -> ssl.SSLContext:
        return self._with_own(ssl.create_default_context(cafile=self.authority))

    def _with_own(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.own, self.key)
        return context
