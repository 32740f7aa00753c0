"""tools/evaluate.py and tools/doctor.py as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gvvad_jax import datasets
from gvvad_jax.video import encode
from tests.evaluation.cases import features

ROOT = Path(__file__).parents[2]


def run(tool, *flags):
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / tool), *map(str, flags)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )


def refused(found, *words):
    """Status 2, one sentence, no traceback."""
    assert found.returncode == 2, found.stdout + found.stderr
    lines = found.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), found.stderr
    assert all(word in lines[0] for word in words), lines[0]


@pytest.fixture(scope="module")
def tad():
    return scores_of("tad")


@pytest.fixture(scope="module")
def ped2():
    return scores_of("ped2")


def scores_of(name):
    """Scores of the test videos: high where the annotation says so, one number a snippet."""
    rng = np.random.default_rng(0)
    scores = {}
    for id, entry in datasets.facts(name).items():
        if entry.split == "test":
            values = rng.random(max(1, entry.num_frames // 16)) * 0.6
            for start, stop in entry.intervals or ():
                values[start // 16 : stop // 16 + 1] += 0.4
            scores[id] = values.astype(np.float32)
    return scores


def test_anyones_scores_become_figures_curves_and_a_page(tmp_path, tad):
    np.savez(tmp_path / "mine.npz", **{f"{id}_clip_large": v for id, v in tad.items()})
    found = run("evaluate.py", f"--scores={tmp_path / 'mine.npz'}", "--dataset=tad", f"--out={tmp_path / 'out'}")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.strip().splitlines()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    figures = summary["metrics"]["given"]
    assert lines[-2:] == [f"frame AUC {figures['auc']:.4f}", f"anomalous only {figures['auc_anomalous']:.4f}"]
    assert 0.75 < figures["auc"] < 1 and summary["rule"] == "given" and summary["dataset"] == "tad"
    assert any("one a snippet of 16" in note for note in summary["notes"])
    left_out = "left out of frame metrics, anomalous without intervals: 2 videos: 05_else_038, 06_PedestrianOnRoad_027"
    assert left_out in summary["notes"]
    assert len(list((tmp_path / "out" / "curves").iterdir())) == 100
    assert (tmp_path / "out" / "report.html").exists() and (tmp_path / "out" / "roc.png").exists()
    with np.load(tmp_path / "out" / "scores.npz") as arrays:
        assert len(arrays["scores/01_Accident_004"]) == 190 and arrays["labels/01_Accident_004"].sum() == 118 - 52
        assert "labels/05_else_038" not in arrays


def test_published_labels_and_other_scores_beside_ours(tmp_path, tad, shared):
    (tmp_path / "frames").mkdir()
    for id, values in tad.items():
        np.save(tmp_path / "frames" / f"{id}.npy", np.repeat(values, 16))
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "other.npz", **{id: rng.random(len(v)) for id, v in tad.items()})
    found = run(
        "evaluate.py",
        f"--scores={tmp_path / 'frames'}",
        "--dataset=tad",
        f"--labels={shared / 'data/tad_annotations/frame_labels_published.npz'}",
        f"--compare={tmp_path / 'other.npz'}",
        f"--out={tmp_path / 'out'}",
    )
    assert found.returncode == 0, found.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["labels"]["file"].endswith("frame_labels_published.npz")
    published, own = summary["metrics"]["given"], summary["metrics"]["annotation"]
    # The stray frames of 40 normal videos: LAP's "abnormal only" takes these 98 videos, ours the anomalous ones.
    assert published["auc_positive_frames"] != published["auc_anomalous"]
    assert abs(published["auc"] - own["auc"]) < 0.02 and "auc_positive_frames" not in own
    assert any("stray anomalous frame in 40 normal videos" in note for note in summary["notes"])
    assert summary["compare"]["auc"][0] > summary["compare"]["auc"][1] + 0.2
    assert len(summary["compare"]["videos"]) == 100
    assert "Beside other scores" in (tmp_path / "out" / "report.html").read_text()


def test_labels_of_ones_own_lengths_stand_where_the_annotation_does_not_fit(tmp_path, tad):
    longer = tad | {"01_Accident_004": np.linspace(0, 1, 40)}
    labels = {id: np.zeros(16 * len(v), np.int8) for id, v in longer.items()}
    labels["01_Accident_004"][320:] = 1
    np.savez(tmp_path / "s.npz", **longer)
    np.savez(tmp_path / "gt.npz", **labels)
    flags = (f"--scores={tmp_path / 's.npz'}", "--dataset=tad", f"--out={tmp_path / 'out'}")
    found = run("evaluate.py", *flags, f"--labels={tmp_path / 'gt.npz'}")
    assert found.returncode == 0, found.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["metrics"]["given"]["auc"] is not None and summary["metrics"]["annotation"] is None
    wanted = "no figures under this package's annotation: 01_Accident_004: 40 snippet scores but 190 frames"
    assert any(wanted in note for note in summary["notes"])


def test_a_flat_array_in_list_order_equals_a_dictionary(tmp_path, ped2):
    order = sorted(ped2, reverse=True)
    facts = datasets.facts("ped2")
    flat = np.concatenate([np.repeat(ped2[id], 16)[: facts[id].num_frames // 16 * 16] for id in order])
    np.save(tmp_path / "flat.npy", flat)
    (tmp_path / "test.list").write_text("\n".join(f"/mnt/ped2/{id}_i3d.npy" for id in order))
    np.savez(tmp_path / "named.npz", **ped2)
    lines = []
    for flags in (
        (f"--scores={tmp_path / 'flat.npy'}", f"--list={tmp_path / 'test.list'}"),
        (f"--scores={tmp_path / 'named.npz'}",),
    ):
        found = run("evaluate.py", *flags, "--dataset=ped2", "--tail=floor", f"--out={tmp_path / 'out'}")
        assert found.returncode == 0, found.stderr
        lines.append(found.stdout.strip().splitlines()[-2:])
    assert lines[0] == lines[1]


def test_missing_and_unknown_videos_are_named(tmp_path, ped2):
    some = {id: v for id, v in ped2.items() if id not in ("Test001", "Train016")}
    np.savez(tmp_path / "s.npz", unheard=np.zeros(4), **some)
    flags = (f"--scores={tmp_path / 's.npz'}", "--dataset=ped2", f"--out={tmp_path / 'out'}")
    refused(run("evaluate.py", *flags), "2 of 18 test videos", "Test001, Train016", "--skip_missing")
    assert not (tmp_path / "out").exists()
    found = run("evaluate.py", *flags, "--skip_missing")
    assert found.returncode == 1
    rows = [json.loads(line) for line in (tmp_path / "out" / "errors.jsonl").read_text().splitlines()]
    assert {row["id"] for row in rows} == {"Test001", "Train016", "unheard"}
    assert "unheard" in found.stderr and "Traceback" not in found.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["counts"]["test"] == 16


def test_a_users_mistakes_are_one_sentence_and_status_2(tmp_path, tad):
    np.savez(tmp_path / "s.npz", **tad)
    scores, out = f"--scores={tmp_path / 's.npz'}", f"--out={tmp_path / 'out'}"
    refused(run("evaluate.py", f"--scores={tmp_path / 'no.npz'}", "--dataset=tad", out), "no.npz")
    refused(run("evaluate.py", scores, "--dataset=toad", out), "toad", "tad")
    refused(run("evaluate.py", scores, "--dataset=tad", out, "--tial=floor"), "tial")
    refused(run("evaluate.py", scores, "--dataset=tad", out, "--tail=roof"), "roof")
    refused(run("evaluate.py", scores, "--dataset=ped2", out), "none of its 100 names")
    refused(run("evaluate.py", scores, "--dataset=ubnormal", out), "--root")
    refused(run("evaluate.py", scores, "--dataset=tad"), "--out")
    refused(run("evaluate.py", scores, "--dataset=tad", out, f"--labels={tmp_path / 'gt.npz'}"), "gt.npz")
    assert not (tmp_path / "out").exists()


def test_a_length_of_another_video_is_refused_by_name(tmp_path, tad):
    np.savez(tmp_path / "s.npz", **(tad | {"01_Accident_004": np.zeros(40)}))
    found = run("evaluate.py", f"--scores={tmp_path / 's.npz'}", "--dataset=tad", f"--out={tmp_path / 'out'}")
    refused(found, "01_Accident_004", "40", "190")


def test_ones_own_folder_is_evaluated_and_a_damaged_video_named(tmp_path):
    clips, scores = tmp_path / "clips", tmp_path / "scores"
    scores.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        place = clips / "test" / ("anomalous" if name == "a" else "normal")
        place.mkdir(parents=True, exist_ok=True)
        encode.mp4(rng.integers(0, 255, (40, 48, 64, 3)).astype(np.uint8), path=place / f"{name}.mp4")
        (scores / f"{name}.csv").write_text("\n".join(str(x) for x in rng.random(40)))
    (clips / "labels.csv").write_text(
        "id,label,split,start,end\ntest/anomalous/a,1,test,10,30\ntest/normal/b,0,test,,\ntest/normal/c,0,test,,\n"
    )
    flags = (f"--scores={scores}", "--dataset=folder", f"--root={clips}", f"--out={tmp_path / 'out'}")
    found = run("evaluate.py", *flags)
    assert found.returncode == 0 and "one a frame: so by the lengths of 3 videos" in found.stdout, found.stderr
    damaged = clips / "test/normal/b.mp4"
    damaged.write_bytes(damaged.read_bytes()[:200])
    found = run("evaluate.py", *flags)
    assert found.returncode == 1 and "test/normal/b" in found.stderr and "Traceback" not in found.stderr
    assert "frame AUC" in found.stdout


def test_help_begins_with_an_example():
    found = run("evaluate.py", "--help")
    assert found.returncode == 0 and "python tools/evaluate.py --scores=" in found.stdout and "--tail" in found.stdout


def test_the_doctor_as_a_user_calls_it(tmp_path):
    features(tmp_path / "a", count=4)
    features(tmp_path / "b", count=4, seed=1)
    found = run("doctor.py", f"--set={tmp_path / 'a'}")
    assert found.returncode == 0 and found.stdout.strip().endswith("nothing wrong"), found.stdout + found.stderr
    found = run("doctor.py", f"--compare={tmp_path / 'a'},{tmp_path / 'b'}")
    assert found.returncode == 1 and "PROBLEM" in found.stdout and "Traceback" not in found.stderr
    refused(run("doctor.py", f"--compare={tmp_path / 'a'}"), "two")
    refused(run("doctor.py", f"--set={tmp_path / 'nowhere'}"), "nowhere")
    refused(run("doctor.py", "--dataset=ucf"), "--root")
    refused(run("doctor.py", "--no_such=1"), "no_such")
