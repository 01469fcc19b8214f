"""The decision ledger: an answer that a client received is in it, and nobody can change it unseen.

A writer (one gateway replica) turns a batch of decisions into one entry of its own hash chain and
appends it to a Redis stream, or to an fsynced spool file while Redis is away. A drain moves the
stream into ClickHouse. Every row has an inclusion proof, and an audit replays every chain.
"""
