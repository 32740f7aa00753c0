"""tools/prompt_bank.py as a user runs it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gvvad_jax.features import prompts, sentences
from tests.features import bert_folder

ROOT = Path(__file__).parents[2]


def run(*flags):
    command = [sys.executable, str(ROOT / "tools" / "prompt_bank.py"), *map(str, flags)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "tests")


def test_a_published_array_becomes_a_bank(tmp_path):
    np.save(tmp_path / "words.npy", np.arange(12, dtype=np.float64).reshape(3, 4))
    done = run(f"--npy={tmp_path / 'words.npy'}", f"--out={tmp_path / 'bank.npz'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 prompts of width 4, sentence encoder sup-simcse-bert-base-uncased")
    bank = prompts.read_bank(tmp_path / "bank.npz")
    assert bank.vectors.tolist() == np.arange(12.0).reshape(3, 4).tolist() and bank.vectors.dtype == np.float32
    assert bank.encoder == "sup-simcse-bert-base-uncased"
    named = run(f"--npy={tmp_path / 'words.npy'}", "--text_encoder_name=other", f"--out={tmp_path / 'bank.npz'}")
    assert named.returncode == 0 and prompts.read_bank(tmp_path / "bank.npz").encoder == "other"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "give either --npy"),
        (["--npy=NPY"], "--out is missing"),
        (["--npy=NPY", "--text_weights=NPY", "--out=OUT"], "--text_weights embeds --sentences"),
        (["--sentences=absent.txt", "--out=OUT"], "no file absent.txt"),
        (["--sentences=NPY", "--out=OUT"], "expected text in UTF-8"),
        (["--npy=NPY", "--sentences=NPY", "--out=OUT"], "give either --npy"),
        (["--npy=absent.npy", "--out=OUT"], "no file absent.npy"),
        (["--npy=NPY", "--out=OUT", "--nope=1"], "nope"),
    ],
)
def test_what_cannot_run_is_one_sentence_and_nothing_written(tmp_path, flags, sentence):
    np.save(tmp_path / "words.npy", np.ones((2, 2)))
    places = {"NPY": str(tmp_path / "words.npy"), "OUT": str(tmp_path / "bank.npz")}
    for name, place in places.items():
        flags = [flag.replace(f"={name}", f"={place}") for flag in flags]
    done = run(*flags)
    assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert not (tmp_path / "bank.npz").exists()


def test_sentences_become_a_bank_of_their_vectors(tmp_path):
    weights = bert_folder.make(tmp_path / "small-bert")
    (tmp_path / "words.txt").write_text("two people fight\n\n  a car burns\n")
    done = run(f"--sentences={tmp_path / 'words.txt'}", f"--text_weights={weights}", f"--out={tmp_path / 'bank.npz'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 prompts of width 16, sentence encoder small-bert")
    bank = prompts.read_bank(tmp_path / "bank.npz")
    assert bank.sentences == ("two people fight", "a car burns") and bank.encoder == "small-bert"
    np.testing.assert_allclose(bank.vectors, sentences.create(weights)(list(bank.sentences)), atol=1e-6)


def test_help_shows_a_runnable_example_first():
    done = run("--help")
    assert done.returncode == 0 and "python tools/prompt_bank.py --npy=" in done.stdout
