"""Versions of the configuration: drafted, checked, approved and deployed."""
