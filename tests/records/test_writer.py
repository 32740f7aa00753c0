"""Writing: any order gives the same bytes, a killed program loses nothing, a finished set always reads."""

import dataclasses
import json
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from gvvad_jax import records
from tests.records import samples

ITEMS = [samples.feature(f"v{i}", snippets=1 + i % 3, label=i % 2) for i in range(7)]


def run(code: str, *arguments: object) -> int:
    """Runs a program that uses the records as a user does; its exit status."""
    program = f"import sys\nfrom gvvad_jax import records\nfrom tests.records import samples\n{textwrap.dedent(code)}"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=samples.ROOT, timeout=120, check=False).returncode


def test_bytes_do_not_depend_on_order_or_threads(tmp_path):
    samples.write(tmp_path / "a", "feature", ITEMS, shards=3, options={"x": 1})
    samples.write(tmp_path / "b", "feature", ITEMS[::-1], shards=3, options={"x": 1})
    with records.writer(tmp_path / "c", "feature", shards=3, options={"x": 1}) as w:
        threads = [threading.Thread(target=lambda part=ITEMS[i::3]: [w.add(x) for x in part]) for i in range(3)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    assert (
        samples.folder_bytes(tmp_path / "a")
        == samples.folder_bytes(tmp_path / "b")
        == samples.folder_bytes(tmp_path / "c")
    )
    assert sorted(samples.folder_bytes(tmp_path / "a")) == [
        "index.jsonl",
        "manifest.json",
        *(f"part-0000{i}-of-00003.array_record" for i in range(3)),
    ]


def test_an_exception_keeps_what_was_added_and_no_set(tmp_path):
    with pytest.raises(KeyboardInterrupt), records.writer(tmp_path / "s", "feature") as w:
        w.add(ITEMS[0])
        raise KeyboardInterrupt
    with pytest.raises(FileNotFoundError, match="unfinished set"):
        records.reader(tmp_path / "s")
    with records.writer(tmp_path / "s", "feature") as w:
        assert "v0" in w and "v1" not in w and w.done == ["v0"]
        with pytest.raises(ValueError, match="'v0' is there already"):
            w.add(ITEMS[0])
        [w.add(x) for x in ITEMS[1:]]
    samples.write(tmp_path / "whole", "feature", ITEMS)
    assert samples.folder_bytes(tmp_path / "s") == samples.folder_bytes(tmp_path / "whole")


def test_a_set_that_went_on_has_the_bytes_of_one_made_at_once_whatever_order_its_encoder_has(tmp_path):
    encoder = {"name": "clip", "size": 32, "motion_columns": {"b": [1], "a": [2]}}
    items = [dataclasses.replace(samples.feature(f"v{i}"), encoder=encoder) for i in range(3)]
    samples.write(tmp_path / "whole", "feature", items)
    with pytest.raises(KeyboardInterrupt), records.writer(tmp_path / "s", "feature") as w:
        w.add(items[0])
        raise KeyboardInterrupt
    with records.writer(tmp_path / "s", "feature") as w:
        [w.add(x) for x in items[1:]]
    assert samples.folder_bytes(tmp_path / "s") == samples.folder_bytes(tmp_path / "whole")


def test_remains_of_a_killed_program_are_ignored(tmp_path):
    with pytest.raises(KeyError), records.writer(tmp_path / "s", "feature") as w:
        [w.add(x) for x in ITEMS[:2]]
        raise KeyError
    unfinished = tmp_path / "s" / ".unfinished"
    whole = sorted(unfinished.glob("*.safetensors"))
    (unfinished / f".{whole[0].name}.123.tmp").write_bytes(b"half")
    whole[1].write_bytes(whole[1].read_bytes()[:-1])
    (unfinished / f"{'0' * 64}.safetensors").write_bytes(b"")
    (unfinished / "packed").mkdir()
    (unfinished / "packed" / "manifest.json").write_text("{")
    with records.writer(tmp_path / "s", "feature") as w:
        assert len(w.done) == 1
        [w.add(x) for x in ITEMS if x.id not in w]
    assert records.check(tmp_path / "s") == [] and len(records.reader(tmp_path / "s")) == 7


def test_a_program_killed_while_adding_goes_on_to_the_same_bytes(tmp_path):
    status = run(
        """
        import os, signal
        with records.writer(sys.argv[1], "feature", options={"x": 1}) as w:
            for i in (4, 1, 3):
                w.add(samples.feature(f"v{i}", snippets=1 + i % 3, label=i % 2))
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path / "s",
    )
    assert status == -signal.SIGKILL
    with records.writer(tmp_path / "s", "feature", options={"x": 1}) as w:
        assert w.done == ["v1", "v3", "v4"]
        [w.add(x) for x in ITEMS if x.id not in w]
    samples.write(tmp_path / "whole", "feature", ITEMS, options={"x": 1})
    assert samples.folder_bytes(tmp_path / "s") == samples.folder_bytes(tmp_path / "whole")


KILLED = """
    import itertools, os, shutil, signal
    folder, start, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

    def write(path, numbers):
        with records.writer(path, "feature", shards=2) as w:
            for i in numbers:
                w.add(samples.feature(f"v{i}", snippets=1 + i % 3, label=i % 2))

    def die_at(left):
        def counted(call):
            def wrapper(*arguments, **named):
                nonlocal left
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
                return call(*arguments, **named)
            return wrapper
        for name in ("replace", "rename", "link", "unlink", "mkdir", "rmdir", "fsync"):
            setattr(os, name, counted(getattr(os, name)))

    for point in itertools.count(0, step):
        if (child := os.fork()) == 0:  # forked before array_record was used: no thread of it is lost
            path = f"{folder}/{point}"
            if start:
                write(path, range(start))
            die_at(point)
            write(path, range(start, 4))
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
            break
"""


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 2])
def test_killed_at_any_call_a_set_reads_and_goes_on_to_the_same_bytes(tmp_path, start):
    samples.write(tmp_path / "whole", "feature", ITEMS[:4], shards=2)
    whole, found = samples.folder_bytes(tmp_path / "whole"), []
    (tmp_path / "killed").mkdir()
    assert run(KILLED, tmp_path / "killed", start, 3) == 0
    for path in sorted((tmp_path / "killed").iterdir(), key=lambda p: int(p.name)):
        try:
            found.append(records.reader(path).ids)
            assert records.reader(path)[-1].id == found[-1][-1]
        except FileNotFoundError:
            found.append(None)
        with records.writer(path, "feature", shards=2) as w:
            [w.add(x) for x in ITEMS[:4] if x.id not in w]
        assert samples.folder_bytes(path) == whole, path
    before, after = ["v0", "v1"] if start else None, ["v0", "v1", "v2", "v3"]
    change = found.index(after)
    assert found == [before] * change + [after] * (len(found) - change) and min(change, len(found) - change) > 3


def test_a_finished_set_to_which_nothing_is_added_keeps_its_bytes(made):
    path = made()
    before = samples.folder_bytes(path)
    with records.writer(path, "feature", shards=5) as w:
        assert "v03" in w and "new" not in w
    assert samples.folder_bytes(path) == before


def test_adding_to_a_finished_set_gives_the_bytes_of_one_made_at_once(tmp_path):
    samples.write(tmp_path / "s", "feature", ITEMS[2:5], shards=5)
    (tmp_path / "s" / "errors.jsonl").write_text('{"id": "v9", "error": "broken"}\n')
    old = records.reader(tmp_path / "s")
    samples.write(tmp_path / "s", "feature", ITEMS[:2] + ITEMS[5:], shards=2)
    samples.write(tmp_path / "whole", "feature", ITEMS, shards=2)
    found = samples.folder_bytes(tmp_path / "s")
    assert found.pop("errors.jsonl") and found == samples.folder_bytes(tmp_path / "whole")
    with pytest.raises((ValueError, FileNotFoundError), match="array_record"):
        old[0]


def test_a_reader_that_was_open_never_gives_another_record(tmp_path):
    samples.write(tmp_path / "s", "feature", [samples.feature("b", 1), samples.feature("d", 1)], shards=1)
    opened, fresh = records.reader(tmp_path / "s"), records.reader(tmp_path / "s")
    assert opened[0].id == "b"
    samples.write(tmp_path / "s", "feature", [samples.feature("a", 1)], shards=1)  # the shard's size stays
    assert [x.id for x in opened] == ["b", "d"]
    with pytest.raises(ValueError, match=r"part-00000-of-00001\.array_record"):
        fresh[0]


def test_other_options_are_refused_and_named(tmp_path):
    with pytest.raises(KeyError), records.writer(tmp_path / "s", "feature", options={"crops": "ten", "size": [1, 2]}):
        raise KeyError
    for _ in "unfinished", "finished":
        with pytest.raises(ValueError, match=r"crops \('ten' before, 'five' now\), motion \('not set' before, 1 now\)"):
            records.writer(tmp_path / "s", "feature", options={"crops": "five", "size": (1, 2), "motion": 1})
        with pytest.raises(ValueError, match="is a feature set, but a text writer"):
            records.writer(tmp_path / "s", "text")
        with records.writer(tmp_path / "s", "feature") as w:
            assert w.options == {"crops": "ten", "size": [1, 2]}
    assert records.reader(tmp_path / "s").manifest["options"] == {"crops": "ten", "size": [1, 2]}


def test_a_folder_that_is_no_set_of_ours_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "app"}')
    before = samples.folder_bytes(tmp_path)
    for name, says in (("mine", "thesis.tex"), ("file", "is a file"), ("web", "not the manifest")):
        with pytest.raises(ValueError, match=says):
            records.writer(tmp_path / name, "feature")
    with pytest.raises(ValueError, match="feature, text, video"):
        records.writer(tmp_path / "new", "features")
    with pytest.raises(ValueError, match="0 shards"):
        records.writer(tmp_path / "new", "feature", shards=0)
    assert samples.folder_bytes(tmp_path) == before and not (tmp_path / "new").exists()


def test_empty_folders_and_error_files_are_no_hindrance(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "errors.jsonl").write_text("")
    samples.write(tmp_path / "s", "feature", ITEMS[:1])
    assert len(records.reader(tmp_path / "s")) == 1


def test_two_writers_at_once_are_refused(tmp_path):
    with records.writer(tmp_path / "s", "feature") as w:
        with pytest.raises(ValueError, match="being written by another program"):
            records.writer(tmp_path / "s", "feature")
        w.add(ITEMS[0])
    assert len(records.reader(tmp_path / "s")) == 1
    with pytest.raises(ValueError, match="closed"):
        w.add(ITEMS[1])


def test_one_set_holds_one_kind_shape_and_encoder(tmp_path):
    with records.writer(tmp_path / "s", "feature") as w:
        w.add(samples.feature("a", encoder={"name": "x"}))
        w.add(samples.feature("b", visual=np.zeros((3, 2, 8), np.float32), encoder={"name": "x"}))
        for wrong, says in (
            (samples.feature("c", width=9, encoder={"name": "x"}), "width 9, .* have 8"),
            (samples.feature("c", crops=1, encoder={"name": "x"}), "num_crops 1"),
            (samples.feature("c", encoder={"name": "y"}), "encoder"),
            (samples.text("c"), "'c' is a Text"),
        ):
            with pytest.raises(ValueError, match=says):
                w.add(wrong)
    assert records.reader(tmp_path / "s").manifest["dtypes"] == ["float16", "float32"]
    with records.writer(tmp_path / "s", "feature") as w, pytest.raises(ValueError, match="width 9"):
        w.add(samples.feature("c", width=9, encoder={"name": "x"}))


def test_one_id_from_two_threads_is_written_once(tmp_path):
    refused = []
    with records.writer(tmp_path / "s", "feature") as w:

        def work(snippets):
            try:
                w.add(samples.feature("same", snippets=snippets))
            except ValueError as error:
                refused.append(str(error))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 9)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    assert len(refused) == 7 and records.reader(tmp_path / "s").ids == ["same"]


@pytest.mark.parametrize("kind", ["feature", "text", "video"])
def test_a_set_may_hold_no_record(tmp_path, kind):
    path = samples.write(tmp_path / "s", kind, [])
    r = records.reader(path)
    assert len(r) == 0 and list(r) == [] and r.manifest["shards"] == [] and records.check(path) == []
    item = {"feature": samples.feature, "text": samples.text, "video": samples.video}[kind]("a")
    samples.write(path, kind, [item])
    assert records.reader(path).ids == ["a"] and records.check(path) == []


def test_there_are_never_more_shards_than_records(tmp_path):
    path = samples.write(tmp_path / "s", "feature", ITEMS[:3], shards=8)
    assert [s["file"] for s in records.reader(path).manifest["shards"]] == [
        f"part-0000{i}-of-00003.array_record" for i in range(3)
    ]


def test_the_check_names_what_is_wrong(made):
    path = made(count=8, shards=2)
    assert records.check(path) == []
    (path / ".unfinished").mkdir()
    (path / "part-00007-of-00009.array_record").write_bytes(b"")
    shard = path / "part-00001-of-00002.array_record"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x01")
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"width": 9, "counts": []}))
    problems = "\n".join(records.check(path))
    for says in (
        "was stopped",
        "part-00007-of-00009",
        "part-00001-of-00002.array_record has the SHA-256",
        "'counts'",
        "width 8",
    ):
        assert says in problems
    assert len(records.check(path)) < 20
    shard.unlink()
    assert any("part-00001-of-00002.array_record is missing" in line for line in records.check(path))
    (path / "manifest.json").unlink()
    assert len(records.check(path)) == 1


def test_a_helper_adds_beside_a_writer_which_takes_it_in(tmp_path):
    samples.write(tmp_path / "one", "feature", ITEMS[:4], options={"x": 1})
    with records.writer(tmp_path / "s", "feature", options={"x": 1}) as w:
        w.add(ITEMS[0])
        with records.Helper(tmp_path / "s", "feature", {"x": 1}) as helper:
            assert "v0" in helper and helper.done == ["v0"]
            with pytest.raises(ValueError, match="'v0' is there already"):
                helper.add(ITEMS[0])
            for item in ITEMS[1:4]:
                helper.add(item)
            helper.end(1, {"failed": []})
        assert w.part(1) == {"failed": []}
        for id in ("v1", "v2", "v3"):
            w.take(id)
        with pytest.raises(FileNotFoundError, match="another process made 'v9', but it is not here"):
            w.take("v9")
    assert samples.folder_bytes(tmp_path / "one") == samples.folder_bytes(tmp_path / "s")


def test_what_a_helper_added_before_its_writer_died_is_found_by_the_next_one(tmp_path):
    with pytest.raises(KeyboardInterrupt), records.writer(tmp_path / "s", "feature", options={}):
        records.Helper(tmp_path / "s", "feature", {}).add(ITEMS[1])
        raise KeyboardInterrupt
    with records.writer(tmp_path / "s", "feature", options={}) as w:
        assert w.done == ["v1"]


def test_a_helper_of_another_set_or_without_a_writer_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="all processes need one shared file system"):
        records.Helper(tmp_path / "s", "feature", {})
    with records.writer(tmp_path / "s", "feature", options={"x": 1}) as w:
        with pytest.raises(ValueError, match="begun with other options: x"):
            records.Helper(tmp_path / "s", "feature", {"x": 2})
        records.Helper(tmp_path / "s", "feature", {"x": 1}).add(samples.feature("a", crops=3))
        w.add(samples.feature("b", crops=2))
        with pytest.raises(ValueError, match="one set holds one shape"):
            w.take("a")
