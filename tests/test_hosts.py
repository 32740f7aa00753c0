"""Processes of one run: named, started on loopback, and writing one set together."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gvvad_jax import hosts, records
from tests.records import samples

ROOT = Path(__file__).parents[1]
ITEMS = [samples.feature(f"v{i}", snippets=1 + i % 3, label=i % 2) for i in range(5)]
# argv: address, number, folder, what to do.
PROGRAM = """
import sys
from pathlib import Path
from gvvad_jax import hosts
from tests.test_hosts import ITEMS
address, number, folder, what = sys.argv[1:]
hosts.start(address, 2, int(number), False)
share = hosts.Share.of_run()
if what == "fails" and share.index:
    sys.exit(3)
options = {"x": share.index if what == "differs" else 1}
try:
    with share.open(Path(folder), "feature", 2, options) as writer:
        todo = [item for item in ITEMS if item.id not in writer]
        for item in share.of(todo):
            if item.id != "v3":
                writer.add(item)
        part = {"failed": [item.id for item in share.of(todo) if item.id == "v3"]}
        parts = share.join(writer, [item.id for item in todo], part)
    share.wait()
    print(parts)
except (ValueError, OSError) as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize(
    ("given", "automatic"),
    [(("localhost:1", 2, None), False), (("localhost:1", 2, 0), True), ((None, None, 0), False)],
)
def test_processes_are_named_whole_or_by_the_cluster(given, automatic):
    with pytest.raises(ValueError, match="--coordinator, --num_processes and --process_id together, or --distributed"):
        hosts.start(*given, automatic)


def test_alone_it_is_the_writer_and_nobody_is_waited_for(tmp_path):
    share = hosts.Share()
    with share.open(tmp_path / "s", "feature", 1, {"x": 1}) as writer:
        assert isinstance(writer, records.Writer) and share.of(ITEMS) == ITEMS
        writer.add(ITEMS[0])
        assert share.join(writer, ["v0"], {"failed": []}) == [{"failed": []}]
    share.wait()
    assert records.reader(tmp_path / "s").ids == ["v0"]


def pair(folder, what="works"):
    """Two processes on loopback: status, output and errors of each."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address, str(k), str(folder), what],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    return [(process.communicate(timeout=60), process.returncode) for process in both]


def test_two_processes_write_the_bytes_of_one(tmp_path):
    samples.write(tmp_path / "one", "feature", [item for item in ITEMS if item.id != "v3"], shards=2, options={"x": 1})
    ((said, _), status), ((others, _), other) = pair(tmp_path / "two")
    assert (status, other) == (0, 0)
    assert said.strip() == "[{'failed': []}, {'failed': ['v3']}]" and others.strip() == "[{'failed': ['v3']}]"
    assert samples.folder_bytes(tmp_path / "one") == samples.folder_bytes(tmp_path / "two")


def test_where_one_cannot_begin_all_end_in_a_sentence(tmp_path):
    ((_, said), status), ((_, others), other) = pair(tmp_path / "set", "differs")
    assert status == other == 1
    assert "process 1 of 2 could not begin; its own message says why." in said
    assert "was begun with other options: x (0 before, 1 now)" in others


def test_where_one_has_ended_nobody_waits_for_it(tmp_path):
    ((_, said), status), (_, other) = pair(tmp_path / "set", "fails")
    assert (status, other) == (1, 3) and "process 1 of 2 has ended early" in said
