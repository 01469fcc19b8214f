from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.ledger import merkle

# The test data of Certificate Transparency's reference implementation.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_PATH_OF_THE_FIRST_OF_EIGHT = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]

rows = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


@pytest.mark.parametrize(("size", "expected"), list(enumerate(CT_ROOTS, start=1)))
def test_published_roots(size: int, expected: str) -> None:
    assert merkle.root([merkle.leaf_hash(leaf) for leaf in CT_LEAVES[:size]]).hex() == expected


def test_published_path() -> None:
    leaves = [merkle.leaf_hash(leaf) for leaf in CT_LEAVES]
    assert [each.hex() for each in merkle.path(leaves, 0)] == CT_PATH_OF_THE_FIRST_OF_EIGHT


def test_the_empty_tree_has_the_root_of_the_rfc() -> None:
    assert merkle.root([]) == sha256(b"").digest()


def as_the_rfc_defines_it(data: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word: split at the largest power of two below n."""
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    k = 1 << ((len(data) - 1).bit_length() - 1)
    left, right = as_the_rfc_defines_it(data[:k]), as_the_rfc_defines_it(data[k:])
    return sha256(b"\x01" + left + right).digest()


@given(rows)
def test_the_root_is_the_one_of_the_recursive_definition(data: list[bytes]) -> None:
    assert merkle.root([merkle.leaf_hash(row) for row in data]) == as_the_rfc_defines_it(data)


@given(rows, st.data())
def test_every_leaf_has_a_path_to_the_root_and_no_other_leaf_fits_it(
    data: list[bytes], choice: st.DataObject
) -> None:
    index = choice.draw(st.integers(0, len(data) - 1))
    leaves = [merkle.leaf_hash(row) for row in data]
    path = merkle.path(leaves, index)
    reached = merkle.root_from_path(leaves[index], index, len(data), path)
    assert reached == merkle.root(leaves)
    other = merkle.leaf_hash(data[index] + b"x")
    assert merkle.root_from_path(other, index, len(data), path) != merkle.root(leaves)


@given(rows, st.data())
def test_a_path_of_the_wrong_length_leads_nowhere(data: list[bytes], choice: st.DataObject) -> None:
    index = choice.draw(st.integers(0, len(data) - 1))
    leaves = [merkle.leaf_hash(row) for row in data]
    path = merkle.path(leaves, index)
    assert (
        merkle.root_from_path(
            leaves[index], index, len(data), [*path, path[0] if path else leaves[0]]
        )
        is None
    )
    if path:
        assert merkle.root_from_path(leaves[index], index, len(data), path[:-1]) is None


@pytest.mark.parametrize("index", [-1, 3])
def test_a_leaf_outside_the_tree_has_no_path(index: int) -> None:
    leaves = [merkle.leaf_hash(b"")] * 3
    assert merkle.root_from_path(leaves[0], index, 3, []) is None
    with pytest.raises(IndexError, match="the tree has 3 leaves"):
        merkle.path(leaves, index)
