"""tools/describe.py as a user runs it, with a chat service on loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gvvad_jax import records
from tests.endpoint import service as fake

ROOT = Path(__file__).parents[2]


def command(*flags):
    return [sys.executable, str(ROOT / "tools" / "describe.py"), *map(str, flags)]


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    return kept | {"NO_PROXY": "127.0.0.1", "OPENAI_API_KEY": fake.KEY} | changes


def run(*flags, **changes):
    return subprocess.run(command(*flags), capture_output=True, text=True, env=environment(**changes), timeout=60)


def ask(server, out, *flags, **changes):
    return run("--describer=openai", f"--base_url={server.url}", f"--out={out}", *flags, **changes)


def holds_no_key(done, folder):
    assert fake.KEY not in done.stdout + done.stderr
    for path in folder.rglob("*"):
        assert path.is_dir() or fake.KEY.encode() not in path.read_bytes()


def test_the_template_writes_pairs_without_a_network_and_the_same_bytes_again(tmp_path):
    out = tmp_path / "new" / "descriptions.jsonl"
    done = run(f"--out={out}", "--count=20", "--seed=3", OPENAI_API_KEY="")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"20 pairs of descriptions: {out}\n"
    first, found = out.read_bytes(), records.read_descriptions(out)
    assert run(f"--out={out}", "--count=20", "--seed=3").returncode == 0 and out.read_bytes() == first
    assert [path.name for path in out.parent.iterdir()] == ["descriptions.jsonl"]
    for anomalous, normal in zip(found[::2], found[1::2], strict=True):
        assert (anomalous.label, normal.label) == (1, 0) and anomalous.pair_id == normal.pair_id
        assert (normal.category, normal.event) == ("Normal", "") and anomalous.event and anomalous.category != "Normal"
        for name in ("viewpoint", "location", "subject", "describer", "seed"):
            assert getattr(anomalous, name) == getattr(normal, name)
    assert (found[0].id, found[1].id, found[0].describer, found[0].seed) == (
        "0001-anomalous",
        "0001-normal",
        "template",
        3,
    )


def test_three_hundred_pairs_by_default(tmp_path):
    assert run(f"--out={tmp_path / 'd.jsonl'}").returncode == 0
    found = records.read_descriptions(tmp_path / "d.jsonl")
    assert [sum(d.label == label for d in found) for label in (0, 1)] == [300, 300]
    assert len({d.text for d in found}) == 600


def test_a_model_is_asked_through_trouble_and_a_rerun_costs_nothing(tmp_path):
    out, steps = tmp_path / "d.jsonl", [fake.fails(429, retry_after="0"), fake.fails(500), fake.says("{"), fake.good]
    with fake.running(*steps) as server:
        done = ask(server, out, "--count=3", "--input_price=2.5", "--output_price=10", OPENAI_LOG="debug")
        assert done.returncode == 0, done.stderr
        asked = len(server.requests)
        assert asked == 6
        assert "paid now: 4 answers, 800 tokens in, 400 out, cost 0.0060; kept from before: nothing" in done.stdout
        holds_no_key(done, tmp_path)
        first = out.read_bytes()
        again = ask(server, out, "--count=3", OPENAI_API_KEY="")
        assert again.returncode == 0 and "paid now: nothing; kept from before: 4 answers" in again.stdout
        assert len(server.requests) == asked and out.read_bytes() == first
    assert {d.describer for d in records.read_descriptions(out)} == {"openai:gpt-4o"}


def test_a_wrong_key_is_one_sentence_without_the_key_and_nothing_is_left(tmp_path):
    with fake.running(fake.fails(401, f"Incorrect API key provided: {fake.KEY}")) as server:
        done = ask(server, tmp_path / "d.jsonl", "--verbosity=1", OPENAI_LOG="debug")
        assert len(server.requests) == 1
    assert done.returncode == 2 and "error: 127.0.0.1 refuses the key (status 401)" in done.stderr
    holds_no_key(done, tmp_path)
    with fake.running(fake.fails(401, fake.KEY)) as server:
        done = ask(server, tmp_path / "d.jsonl")
    assert done.stderr.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_pairs_that_fail_are_lines_and_the_next_run_asks_for_them_alone(tmp_path):
    out = tmp_path / "d.jsonl"
    with fake.running(*[fake.fails(500)] * 2) as server:
        done = ask(server, out, "--count=3", "--attempts=2")
        assert done.returncode == 1 and "2 pairs of descriptions, 1 pairs failed" in done.stdout
        assert "0001: no answer after 2 attempts" in done.stderr
        assert [row["id"] for row in records.read_jsonl(tmp_path / "errors.jsonl")] == ["0001"]
        assert [d.id for d in records.read_descriptions(out)][:2] == ["0002-anomalous", "0002-normal"]
        done = ask(server, out, "--count=3", "--attempts=2")
        assert done.returncode == 0 and len(server.requests) == 5 and not (tmp_path / "errors.jsonl").exists()
    assert len(records.read_descriptions(out)) == 6


def test_a_run_that_is_interrupted_pays_for_no_answer_twice(tmp_path):
    out = tmp_path / "d.jsonl"
    with fake.running(fake.good, fake.good, fake.hangs(20)) as server:
        flags = ("--describer=openai", f"--base_url={server.url}", f"--out={out}", "--count=4")
        running = subprocess.Popen(command(*flags), env=environment(), stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while len(server.requests) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 130 and "interrupted: run the same command again" in said
        assert not out.exists()
        assert json.loads((tmp_path / "d.jsonl.cache" / "report.json").read_text())["paid"]["answers"] == 2
        done = ask(server, out, "--count=4")
        assert done.returncode == 0 and "kept from before: 2 answers" in done.stdout
        bodies = [json.dumps(body) for body in server.requests]
        assert len(bodies) == 5 and len(set(bodies)) == 4  # the hanging one alone was asked twice


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "--out is missing"),
        (["--out=OUT", "--describer=poet"], "no describer 'poet'"),
        (["--out=OUT", "--count=0"], "--count=0"),
        (["--out=OUT", "--count=many"], "count"),
        (["--out=OUT", "--describer=openai", "--attempts=0"], "--attempts=0"),
        (["--out=OUT", "--describer=openai", "--timeout=0"], "--timeout"),
        (["--out=OUT", "--describer=openai", "--input_price=1"], "give both"),
        (["--out=OUT", "--describer=openai", "--base_url=nowhere"], "base URL must be"),
        (["--out=OUT", "OUT"], "is no flag"),
        (["--out=."], "is a folder"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_nothing_written(tmp_path, flags, sentence):
    done = run(*[flag.replace("OUT", str(tmp_path / "d.jsonl")) for flag in flags])
    assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_is_one_sentence(tmp_path):
    done = run("--describer=openai", f"--out={tmp_path / 'd.jsonl'}", OPENAI_API_KEY="")
    assert done.returncode == 2 and done.stderr.startswith("error: OPENAI_API_KEY is not set")
    assert done.stderr.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_help_shows_a_runnable_example_first():
    done = run("--help")
    assert done.returncode == 0 and "python tools/describe.py --out=" in done.stdout
