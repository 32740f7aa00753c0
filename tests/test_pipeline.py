"""The chain refuses what it cannot do before anything is written, and skips what is done."""

import pytest

from configs import quickstart
from gvvad_jax import pipeline


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda c: c.data.update(features="set"), "makes its own features"),
        (lambda c: c.pipeline.update(generator="dreams"), "has scenes alone"),
        (lambda c: c.pipeline.update(real=0), "give 1 or more"),
        (lambda c: c.pipeline.update(crops="nine"), "nine"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_written(tmp_path, change, sentence):
    config = quickstart.get_config()
    change(config)
    with pytest.raises(ValueError, match=sentence):
        pipeline.run(config, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_stage_whose_manifest_is_there_is_not_made_again(tmp_path, capsys):
    made = []
    stages = [pipeline.Stage(name, tmp_path / name, lambda out: made.append(out.name) or "made") for name in "ab"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "manifest.json").write_text("{}")
    pipeline.make(stages)
    assert made == ["b"]
    (tmp_path / "a" / "errors.jsonl").write_text("{}")  # a video failed, and the run ended there
    assert not stages[0].is_done
    assert capsys.readouterr().out.splitlines()[:2] == [f"done   a: {tmp_path}/a", f"to do  b: {tmp_path}/b"]
