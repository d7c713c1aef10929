"""Reading within limits: bombs, lines without end, broken files, and pieces of any size."""

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.imported import reading
from analysis.imported.reading import Items, Limits, Stream

ROOT = Path(__file__).parents[2]
LARGE = Limits.of(64)
TEN_GB = 10 * (1 << 30)
HEADER = b"agent,game,seed,frame,return\n"

# Imports a file within 1 GiB of addresses beyond what the libraries take; prints peak MiB.
PROGRAM = """
import resource, sys, time
from pathlib import Path
import suites
from analysis.imported import main, store
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wish = main.Wish(sys.argv[2] or None, None, None, None, False, False, int(sys.argv[3]))
try:
    main.run(sys.argv[1], suites.load("demo"), "x", Path("out"), wish, 0.0, None, "sqlite:///no")
except ValueError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def limited(path: Path, form: str = "", mib: int = 256) -> tuple[str, int]:
    """Imports a file in a process of its own; returns what it said and how much memory it took."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), form, str(mib)],
        cwd=ROOT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *said, peak = done.stdout.splitlines()
    return "\n".join(said), int(peak)


def bomb(path: Path, begin: bytes, filling: bytes) -> Path:
    """Writes gzip of 10 GiB: the same member of 64 MiB again and again."""
    member = gzip.compress(filling * ((64 << 20) // len(filling)), 9)
    with path.open("wb") as file:
        file.write(gzip.compress(begin))
        for _ in range(TEN_GB // (64 << 20)):
            file.write(member)
    assert path.stat().st_size < 50 << 20
    return path


BOMBS = {
    "spaces": (b"[", b" ", "", "more than 256 MiB, decompressed; `--max-mib` allows more"),
    "text": (
        b'[{"task": "',
        b"a",
        "",
        "the run at byte of the decompressed data 2: longer than 16",
    ),
    "numbers": (b'[{"xs": [0', b",1", "", "longer than 16 MiB"),
    "brackets": (b"[", b"[", "official", "allowed is a run"),
    "line": (HEADER, b"a", "", "line 2: longer than 16 MiB; `--max-mib` allows more"),
    "rows": (HEADER, b"a,pong,0,4,1\n", "", "more than 8 MiB, decompressed"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_gzip_bomb_of_ten_gigabytes_takes_little_memory(tmp_path, name):
    begin, filling, form, words = BOMBS[name]
    mib = 8 if name == "rows" else 256  # Rows are read, and take time.
    said, peak = limited(bomb(tmp_path / "bomb.gz", begin, filling), form, mib)
    assert words in said
    assert peak < 700, "MiB"


@pytest.mark.parametrize("begin", [HEADER, b'[{"task": "'])
def test_a_line_of_ten_gigabytes_is_given_up_early(tmp_path, begin):
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(TEN_GB)  # A hole: it reads as zeros.
    said, peak = limited(path)
    assert "longer than 16 MiB" in said
    assert peak < 200, "MiB"


def test_a_record_that_claims_to_be_huge_is_not_read(tmp_path):
    from launch import export

    length = (1 << 40).to_bytes(8, "little")
    path = tmp_path / "runs" / "PongNoFrameskip-v4__ppo__1__1" / "events.out.tfevents.1"
    path.parent.mkdir(parents=True)
    path.write_bytes(length + export._masked(length) + bytes(100))
    said, peak = limited(tmp_path / "runs")
    assert "the record at byte 0: longer than 16 MiB" in said
    assert peak < 200, "MiB"


def test_the_limit_is_the_users(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"x\n" * (1 << 20)))
    with Stream(path, Limits.of(1)) as stream, pytest.raises(ValueError, match="more than 1 MiB"):
        list(reading.lines(stream))
    with Stream(path, Limits.of(3)) as stream:
        assert sum(1 for _ in reading.lines(stream)) == 1 << 20


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_gzip_that_is_cut_is_refused(tmp_path, cut):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(json.dumps(list(range(1000))).encode())[:-cut])
    with (
        Stream(path, LARGE) as stream,
        pytest.raises(ValueError, match=r"^a.gz: broken gzip after"),
    ):
        while stream.read():
            pass


def test_gzip_with_a_flipped_bit_is_refused(tmp_path):
    data = bytearray(gzip.compress(bytes(range(256)) * 100))
    data[-6] ^= 1  # Of the checksum.
    path = tmp_path / "a.gz"
    path.write_bytes(data)
    with Stream(path, LARGE) as stream, pytest.raises(ValueError, match="broken gzip"):
        while stream.read():
            pass


def test_a_device_is_no_file():
    with pytest.raises(ValueError, match="/dev/zero: this is no regular file"):
        Stream(Path("/dev/zero"), LARGE)


def test_a_byte_that_is_no_text_is_named_by_its_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"one\ntwo \xff\n")
    with (
        Stream(path, LARGE) as stream,
        pytest.raises(ValueError, match="line 2: byte 5 is not UTF"),
    ):
        list(reading.lines(stream))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3), max_leaves=5,
)  # fmt: skip
RUNS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=5)


@settings(deadline=None, max_examples=60)
@given(runs=RUNS, chunk=st.integers(1, 40), indent=st.sampled_from([None, 1]), mark=st.booleans())
def test_objects_of_a_list_are_found_whatever_is_in_their_texts(
    tmp_path_factory, runs, chunk, indent, mark
):
    path = tmp_path_factory.getbasetemp() / "items.json"
    text = json.dumps(runs, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    data = b"\xef\xbb\xbf" * mark + text
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK", chunk)
        with Stream(path, LARGE) as stream:
            stream.read = lambda size=chunk, read=stream.read: read(size)
            found = list(Items(stream))
            source = stream.source()
    assert [data[at : at + len(text)] for at, text in found] == [text for _, text in found]
    assert [json.loads(text.decode("utf-8", "surrogatepass")) for _, text in found] == runs
    assert source.bytes == len(data)


def test_the_source_is_the_file_as_it_lies_there(tmp_path):
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(b"[{}, {}]"))
    with Stream(path, LARGE) as stream:
        assert len(list(Items(stream))) == 2
        source = stream.source()
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (source.name, source.bytes) == ("a.json.gz", path.stat().st_size)
