"""Rows that wait for a slot, and become batches."""
