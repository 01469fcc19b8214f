"""This release's number, from the installed package."""

from importlib.metadata import version

VERSION = version("ballast")
