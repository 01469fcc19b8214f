"""What to tell a Prometheus that is to write its samples: the section of its prometheus.yml."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from features.sources.remote_write.needed import Needed
from features.sources.rules import Mapping
from launch.platform_client import running_here
from settings.environment import Settings

KEY_FILE = "/etc/prometheus/ballast.key"


def sender_config(settings: Settings, name: str, mapping: Mapping) -> str:
    """Give what to do at the sender, with a section to paste that sends what the mapping needs."""
    address = _address(settings)
    return "\n".join(
        (
            "",
            f"Make a key, and put it where the Prometheus can read it, such as {KEY_FILE}:",
            f"  ballast key create --role client --note {name}",
            "Then add this to its prometheus.yml, and reload it:",
            "",
            *_hint(address),
            "remote_write:",
            f"  - url: {address}/api/v1/write?source={name}",
            "    authorization:",
            f"      credentials_file: {KEY_FILE}",
            "    queue_config:",
            "      retry_on_http_429: true",
            "    write_relabel_configs:",
            "      - source_labels: [__name__]",
            f"        regex: {'|'.join(sorted(Needed(mapping).names))}",
            "        action: keep",
            "",
        )
    )


def _address(settings: Settings) -> str:
    """Give where the platform runs, or would."""
    run = running_here(settings)
    if run is not None:
        return run.url.rstrip("/")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _hint(address: str) -> list[str]:
    """Say where the address is no good for a Prometheus elsewhere."""
    host = urlsplit(address).hostname or ""
    if host == "localhost" or _is_only_here(host):
        return [f"# {host} is known on this machine only: elsewhere, give its name in the network."]
    return []


def _is_only_here(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
