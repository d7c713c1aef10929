"""Checkpoints: whole or not there, equal for equal trees, and damaged ones are noticed."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from launch import checkpoint

TREE = {
    "weights": {"0": np.arange(6, dtype=np.float32).reshape(2, 3), "empty": np.zeros((0, 4))},
    "rng": {"state": {"state": 2**127 + 3, "inc": 1}, "bit_generator": "PCG64"},
    "plain": [1, 2.5, None, True, "text", [np.array(3, np.int64)]],
    "carry": (),
}


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and (one == other).all()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and type(one) is type(other)


def test_a_tree_comes_back_as_it_was(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a.npz", TREE)
    assert same(checkpoint.load(tmp_path / "a.npz"), TREE | {"carry": []})


def test_a_key_named_like_the_format_is_only_a_key(tmp_path: Path) -> None:
    tree = {"array": 1, "dict": {"array": np.ones(2)}}
    checkpoint.save(tmp_path / "a.npz", tree)
    assert same(checkpoint.load(tmp_path / "a.npz"), tree)


def test_equal_trees_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        checkpoint.save(tmp_path / name, TREE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nothing_in_it_is_a_pickle(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "a.npz", TREE)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".json"):
                json.loads(content)
            else:
                assert content.startswith(b"\x93NUMPY")
    with pytest.raises(ValueError, match="Object arrays"):
        checkpoint.save(tmp_path / "b.npz", {"x": np.array([object()])})


def test_an_array_of_objects_is_refused_when_read(tmp_path: Path) -> None:
    path = tmp_path / "evil.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tree.json", '{"dict": {"x": {"array": 0}}}')
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
        archive.writestr("0.npy", b"\x93NUMPY\x01\x00v\x00" + header + pickle.dumps([print]))
    with pytest.raises(ValueError, match="damaged or not a checkpoint"):
        checkpoint.load(path)


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for frame in range(5):
        checkpoint.store(tmp_path, f"{frame:012d}", {"frame": frame})
    assert [path.stem for path in checkpoint.newest_first(tmp_path)] == [
        "000000000004", "000000000003",
    ]  # fmt: skip
    path, tree = checkpoint.restore(tmp_path)
    assert path.stem == "000000000004"
    assert tree == {"frame": 4}


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_newest_falls_back_with_a_warning(damage: str, tmp_path: Path) -> None:
    for frame in (1, 2):
        checkpoint.store(tmp_path, f"{frame:012d}", {"x": np.full(1000, frame)})
    newest = tmp_path / "000000000002.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    changed = {"cut": content[: len(content) // 2], "flipped": content, "empty": b"", "other": b"x"}
    newest.write_bytes(changed[damage])
    with pytest.warns(UserWarning, match=r"000000000002.npz: damaged.*Going on from 000000000001"):
        path, tree = checkpoint.restore(tmp_path)
    assert path.stem == "000000000001"
    assert (tree["x"] == 1).all()


def test_a_checkpoint_that_could_not_be_read_takes_nobodys_place(tmp_path: Path) -> None:
    for number in (1, 2):
        checkpoint.store(tmp_path, f"{number:012}", {"number": number})
    (tmp_path / "000000000002.npz").write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="damaged"):
        path, _ = checkpoint.restore(tmp_path)
    checkpoint.forget_newer(path)
    assert checkpoint.newest_first(tmp_path) == [path]


def test_only_damaged_ones_are_an_error_and_stay(tmp_path: Path) -> None:
    (tmp_path / "000000000001.npz").write_bytes(b"x")
    with pytest.raises(ValueError, match="No checkpoint can be read"):
        checkpoint.restore(tmp_path)
    assert (tmp_path / "000000000001.npz").exists()


def test_none_is_none(tmp_path: Path) -> None:
    assert checkpoint.restore(tmp_path) is None
    assert checkpoint.restore(tmp_path / "nowhere") is None


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    checkpoint.save(path, {"x": 1})
    with pytest.raises(AssertionError, match="cannot store"):
        checkpoint.save(path, {"x": object()})
    assert checkpoint.load(path) == {"x": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    checkpoint.save(path, {"x": 1})
    (tmp_path / "a.npz.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        checkpoint.save(path, TREE | {"big": np.zeros(100_000)})
    assert checkpoint.load(path) == {"x": 1}


def test_numbers_that_are_not_finite_are_found_by_name() -> None:
    assert checkpoint.not_finite(TREE) is None
    bad = {"agent": {"parts": {"opt": [np.zeros(2), np.array([1.0, np.inf])]}}}
    assert checkpoint.not_finite(bad) == "agent.parts.opt.1"
    assert checkpoint.not_finite({"a": {"b": float("nan")}}) == "a.b"
