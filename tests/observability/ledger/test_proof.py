import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import LedgerError
from observability.ledger.chain import Chain
from observability.ledger.decision import Decision
from observability.ledger.entry import Entry, decode, seal
from observability.ledger.proof import Link, Proof, prove, verify_proof


def entries(rows: int, writer: str = "w") -> list[Entry]:
    batch = seal([Decision("d", f"d{i}".encode()) for i in range(rows)])
    return [decode(data) for data in Chain(writer).link([batch, batch], 1)]


def proof(rows: int = 5, leaf: int = 2) -> Proof:
    _, entry, successor = entries(rows)
    return prove(entry, leaf, Link.of(successor))


@given(st.integers(1, 70), st.data(), st.booleans())
def test_every_row_has_a_proof_that_survives_json(
    rows: int, choice: st.DataObject, with_successor: bool
) -> None:
    leaf = choice.draw(st.integers(0, rows - 1))
    _, entry, successor = entries(rows)
    made = prove(entry, leaf, Link.of(successor) if with_successor else None)
    assert verify_proof(made)
    assert Proof.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_proof_holds_for_its_row_only() -> None:
    assert not verify_proof(replace(proof(), row=b"d9"))
    assert not verify_proof(replace(proof(), leaf=1))
    assert not verify_proof(replace(proof(), path=proof().path[:-1]))


def test_a_proof_holds_for_its_entry_only() -> None:
    made = proof()
    assert not verify_proof(replace(made, prev_hash=bytes(32)))
    for other in (
        replace(made.link, root=bytes(32)),
        replace(made.link, entry_hash=bytes(32)),
        replace(made.link, header=replace(made.link.header, created_ms=2)),
        replace(made.link, header=replace(made.link.header, writer="v")),
        replace(made.link, header=replace(made.link.header, count=6)),
    ):
        assert not verify_proof(replace(made, link=other))


def test_only_the_next_entry_of_the_same_chain_is_a_successor() -> None:
    made = proof()
    genesis, entry, _ = entries(5)
    _, _, foreign = entries(5, writer="v")
    for other in (genesis, entry, foreign):
        assert not verify_proof(replace(made, successor=Link.of(other)))


def test_an_inner_node_does_not_pass_for_a_row() -> None:
    """The second-preimage attack on trees that hash leaves and nodes alike."""
    _, entry, _ = entries(4)
    made = prove(entry, 0, None)
    node = entry.leaves[0] + entry.leaves[1]
    assert not verify_proof(replace(made, row=node, path=made.path[1:]))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("row", None),
        ("leaf", "x"),
        ("path", ["zz"]),
        ("entry", {}),
        (
            "entry",
            {"writer": "w", "seq": -1, "created_ms": 1, "count": 1, "root": "", "entry_hash": ""},
        ),
        ("successor", "x"),
    ],
)
def test_what_is_no_proof_is_refused(field: str, value: object) -> None:
    with pytest.raises(LedgerError, match="not an inclusion proof"):
        Proof.from_json({**proof().to_json(), field: value})
