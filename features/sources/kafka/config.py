"""A topic of Kafka and how it is reached, as data."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from settings.frozen import Frozen

Server = Annotated[
    str, Field(pattern=r"^(?:[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):[0-9]{1,5}$")
]
FilePath = Annotated[str, Field(pattern=r"^/", max_length=4096)]


class KafkaTopic(Frozen):
    """Where messages are read; the configuration holds no secret, only files that hold them."""

    servers: tuple[Server, ...] = Field(
        min_length=1, max_length=20, description="Brokers to begin with, each as host:port."
    )
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    format: Literal["json", "csv"] = Field(
        "json", description="How the body of a message is written, as `/telemetry` takes it."
    )
    user: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    password_file: FilePath | None = Field(None, description="A file that holds the password.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    tls: bool = False
    ca_file: FilePath | None = Field(
        None, description="The authorities that sign the brokers; by default the system's."
    )
    certificate_file: FilePath | None = Field(None, description="To be known by, with its key.")
    key_file: FilePath | None = None
    verify_tls: bool = True

    @model_validator(mode="after")
    def _names_what_belongs_together(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("give both user and password_file, or neither")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("give both certificate_file and key_file, or neither")
        if not self.tls and (self.ca_file or self.certificate_file):
            raise ValueError("ca_file and certificate_file are of TLS: set tls to true")
        return self


def host_of(server: str) -> str:
    """Give the host of a broker's address; that of an IPv6 address is in brackets."""
    return server.rpartition(":")[0]
