"""Event files are what TensorBoard reads: decoded here by the real protocol buffer library."""

import struct

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from launch import export
from tests.launch.run_folders import CLOCKS, RunFolder

WRITTEN_BY_TENSORBOARD = (  # 2.21.0, tensorboard.summary.writer.record_writer.
    "1800000000000000a37f4b2209000010e04eacda411a0d627261696e2e4576656e743a32e9383659"
)
FIELDS = {  # Of tensorflow's event.proto and summary.proto, as far as scalars go.
    "Value": [("tag", 1, "STRING", ""), ("simple_value", 2, "FLOAT", "")],
    "Summary": [("value", 1, "MESSAGE", "Value")],
    "Event": [
        ("wall_time", 1, "DOUBLE", ""),
        ("step", 2, "INT64", ""),
        ("file_version", 3, "STRING", ""),
        ("summary", 5, "MESSAGE", "Summary"),
    ],
}


def event_class():
    file = descriptor_pb2.FileDescriptorProto(name="e.proto", package="e", syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            repeated = field == "value"
            message.field.add(
                name=field,
                number=number,
                type=getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind}"),
                type_name=f".e.{of}" if of else None,
                label=3 if repeated else 1,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("e.Event"))


EVENT = event_class()


def decode(path):
    """Reads an event file, checksums and all."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        body = data[12 : 12 + length]
        assert data[: 12 + length + 4] == export.record(body)
        events.append(EVENT.FromString(body))
        data = data[16 + length :]
    return events


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path)
    folder.begin()
    folder.play(2000)
    return folder


def test_the_checksum_is_castagnolis():
    assert export.crc32c(b"123456789") == 0xE3069283
    assert export.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4.
    assert export.crc32c(bytes(range(32))) == 0x46DD794E


def test_a_record_is_framed_as_tensorboards_own_writer_does():
    body = b"\t" + struct.pack("<d", 1790000000.25) + b"\x1a\rbrain.Event:2"
    assert export.record(body) == bytes.fromhex(WRITTEN_BY_TENSORBOARD)


def test_every_point_of_the_run_is_in_the_event_file(run):
    run.end("finished")
    folder = export.tensorboard(run.path)
    assert folder == run.path / "tensorboard"
    (path,) = folder.iterdir()
    assert path.name.startswith("events.out.tfevents.")
    first, *events = decode(path)
    assert first.file_version == "brain.Event:2"
    found = sorted((v.tag, e.step, v.simple_value) for e in events for v in e.summary.value)
    apart = (*CLOCKS, "score/final", "score/human_normalized")
    assert [(tag, step) for tag, step, _ in found if tag not in apart] == [
        (tag, step) for tag, step, _ in run.expected()
    ]
    values = [value for tag, _, value in found if tag not in apart]
    assert values == pytest.approx([value for *_, value in run.expected()], rel=1e-6)
    assert [(step, value) for tag, step, value in found if tag == "score/final"] == [(2000, 10.0)]


def test_points_carry_the_time_of_the_run(run):
    path = next(export.tensorboard(run.path).iterdir())
    _, *events = decode(path)
    times = {e.step: e.wall_time for e in events if e.summary.value[0].tag == "loss/policy"}
    assert times == {line["frame"]: line["unix"] for line in run.lines("metrics.jsonl")}


def test_exporting_again_replaces_our_file_and_no_other(run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "events.out.tfevents.1.somebody").write_bytes(b"theirs")
    export.tensorboard(run.path, out)
    before = len(decode(next(out.glob("*.reverie"))))
    run.play(4000)
    assert export.tensorboard(run.path, out) == out
    assert len(list(out.iterdir())) == 2
    assert len(decode(next(out.glob("*.reverie")))) > before
    assert (out / "events.out.tfevents.1.somebody").read_bytes() == b"theirs"


def test_a_run_without_lines_gives_an_empty_file(tmp_path):
    run = RunFolder(tmp_path)
    run.begin()
    (event,) = decode(next(export.tensorboard(run.path).iterdir()))
    assert event.file_version == "brain.Event:2"


def test_what_is_no_run_folder_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="is no run folder"):
        export.tensorboard(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_line_is_named(run):
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write("{\n")
    with pytest.raises(ValueError, match=r"pong/0: metrics\.jsonl: .* is damaged"):
        export.tensorboard(run.path)
