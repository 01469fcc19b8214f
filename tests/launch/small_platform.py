"""`ballast` as it is, but for the driver that it starts."""

from launch import driver_process
from launch.cli import app

if __name__ == "__main__":
    driver_process.MODULE = "tests.launch.small_driver"
    app()
