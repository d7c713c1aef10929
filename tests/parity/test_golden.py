"""The comparison itself: it finds files, names what is wrong, and lets nothing through."""

import numpy as np
import pytest

from tests.parity import golden


def written(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        np.savez(folder / name, a=np.arange(3.0))


def test_a_folder_of_all_agents_and_a_folder_of_one_are_both_understood(tmp_path, monkeypatch):
    written(tmp_path / "all" / "dreamerv2", "batch.npz")
    written(tmp_path / "one", "batch.npz", golden.MARKS["dreamerv1"])
    written(tmp_path / "dreamerv3", "batch.npz")
    for folder, agent in (("all", "dreamerv2"), ("one", "dreamerv1"), ("dreamerv3", "dreamerv3")):
        monkeypatch.setenv("GOLDEN_DIR", str(tmp_path / folder))
        assert golden.load(agent, "batch.npz")["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("agent", ["dreamerv1", "dreamerv3"])
def test_an_absent_file_is_skipped_by_name(tmp_path, monkeypatch, agent):
    written(tmp_path, golden.MARKS["dreamerv2"], "batch.npz")
    monkeypatch.setenv("GOLDEN_DIR", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=f"{agent}/batch.npz"):
        golden.load(agent, "batch.npz")


def test_a_wrong_entry_is_named_with_both_numbers():
    wanted = np.asarray([[1.0, 2.0], [3.0, 4.0]])
    golden.close(wanted + 3.9e-5, wanted)
    with pytest.raises(AssertionError, match=r"h0/kernel\[1, 0\]: 3\.00\d+, wanted 3;"):
        golden.close(wanted + np.asarray([[0, 0], [4.1e-5, 0]]), wanted, name="h0/kernel")
    with pytest.raises(AssertionError, match="not finite"):
        golden.close([np.nan], [np.nan])
    with pytest.raises(AssertionError, match=r"\(1,\), wanted \(2,\)"):
        golden.close([0.0], [0.0, 0.0])


def test_a_missing_or_surplus_tensor_is_an_error():
    with pytest.raises(AssertionError, match=r"only on one side: .'a', 'b'"):
        golden.gradients_close({"a": [1.0]}, {"b": [1.0]})
    with pytest.raises(AssertionError, match=r"b: off by 2\.00e-06"):
        golden.within({"b": [1.0 + 2e-6]}, {"b": [1.0]}, 1e-6)
    with pytest.raises(AssertionError, match="nothing begins with 'grad/'"):
        golden.sub({"loss": np.zeros(1)}, "grad/")
    assert golden.sub({"grad/a": np.zeros(1), "loss": np.zeros(1)}, "grad/").keys() == {"a"}
