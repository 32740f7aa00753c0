import os
import subprocess
import sys

import numpy as np
import pytest

from gvvad_jax import detectors, evaluation
from gvvad_jax.evaluation import scoring
from tests.evaluation.cases import features


def alone(detector, record):
    return detectors.scores(detector, np.swapaxes(record.visual, 0, 1)[None].astype(np.float32))[0]


@pytest.fixture(scope="module")
def detector():
    return detectors.create("rtfm", detectors.Inputs(visual=8))


def test_mixed_lengths_in_batches_equal_one_video_at_a_time(tmp_path, detector):
    reader = features(tmp_path / "set", count=7, longest=300)
    found = evaluation.score_set(detector, reader, batch=2)
    assert list(found) == reader.ids
    for record in reader:
        scores = found[record.id].scores
        assert scores.dtype == np.float32 and scores.shape == (len(record.visual),)
        np.testing.assert_allclose(scores, alone(detector, record), atol=1e-6)


def test_the_highest_crop_is_told_where_there_are_several(tmp_path, detector):
    reader = features(tmp_path / "set", count=1)
    found = evaluation.score_set(detector, reader)
    for record in reader:
        single = np.stack([alone(detector, _crop(record, c)) for c in range(3)], axis=1)
        crops = found[record.id].crops
        assert crops.dtype == np.int16 and crops.shape == (len(record.visual),)
        taken = np.take_along_axis(single, crops[:, None].astype(int), axis=1)[:, 0]
        np.testing.assert_allclose(taken, single.max(axis=1), atol=1e-6)


def _crop(record, number):
    class One:
        visual = record.visual[:, number : number + 1]

    return One


def test_one_crop_needs_no_telling(tmp_path, detector):
    found = evaluation.score_set(detector, features(tmp_path / "set", count=2, crops=1))
    assert all(scores.crops is None for scores in found.values())


def test_an_empty_set_has_no_scores(tmp_path, detector):
    reader = features(tmp_path / "set", count=2).select(lambda row: False)
    assert evaluation.score_set(detector, reader) == {}


def test_lengths_are_few_and_waste_is_bounded():
    lengths = [scoring.padded_length(n) for n in range(1, 5000)]
    assert len(set(lengths)) < 20
    assert all(n <= size and (size <= 16 or size < n * 1.5 + 1) for n, size in enumerate(lengths, 1))


def test_long_videos_go_in_smaller_batches(tmp_path, monkeypatch, detector):
    reader = features(tmp_path / "set", count=8)
    whole = evaluation.score_set(detector, reader, batch=8)
    monkeypatch.setattr(scoring, "NUMBERS", 3 * 64 * 64)
    rows = [rows for _, _, rows in scoring._groups(reader, 8, 1)]
    assert min(rows) == 1 and max(rows) > 1
    small = evaluation.score_set(detector, reader, batch=8)
    assert all(np.abs(whole[id].scores - small[id].scores).max() < 1e-6 for id in whole)


def test_the_second_evaluation_compiles_nothing(tmp_path, detector):
    reader = features(tmp_path / "set", count=5)
    evaluation.score_set(detector, reader)
    before = scoring._forward._cache_size()
    evaluation.score_set(detector, reader)
    assert scoring._forward._cache_size() == before


def test_features_of_another_width_are_refused(tmp_path, detector):
    with pytest.raises(ValueError, match="12"):
        evaluation.score_set(detector, features(tmp_path / "set", count=2, width=12))


FOUR_DEVICES = """
import sys, jax, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
from gvvad_jax import detectors, evaluation, records
detector = detectors.create("rtfm", detectors.Inputs(visual=8))
reader = records.reader(sys.argv[1])
one = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
a, b = evaluation.score_set(detector, reader, mesh=one), evaluation.score_set(detector, reader, batch=1)
assert len(jax.devices()) == 4 and list(a) == list(b)
print(max(np.abs(a[id].scores - b[id].scores).max() for id in a))
"""


def test_four_devices_give_the_same(tmp_path):
    features(tmp_path / "set", count=5, longest=200)
    command = [sys.executable, "-c", FOUR_DEVICES, str(tmp_path / "set")]
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | {"JAX_PLATFORMS": "cpu"}
    )
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) < 1e-6
