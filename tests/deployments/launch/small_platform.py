"""`ballast` as it is, but for the driver that it starts."""

from deployments.cli import app
from deployments.launch import driver_process

if __name__ == "__main__":
    driver_process.MODULE = "tests.deployments.launch.small_driver"
    app()
