"""A gateway without the stages behind it, for what is refused or answered before them."""

from tests.deployments.gateway.documentation.conftest import host, house, url

__all__ = ["host", "house", "url"]
