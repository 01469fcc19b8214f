"""A step of a rollout that was recorded: a plan, and a ledger's entries of both arms."""

import random
from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any

import orjson

from config_store.certificates.plan import Plan, margins_of
from models.evidence.margins import Design
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.entry import NO_HASH, Entry, Header, hash_of, seal
