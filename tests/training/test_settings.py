import math

import pytest

from configs import base, folder, ped2, shanghaitech, ucf
from gvvad_jax import detectors
from gvvad_jax.training import settings

TRAINED = ("lap", "tevad", "rtfm")


def test_only_steps_may_grow(tmp_path):
    config = base.get_config()
    settings.write(config, tmp_path)
    settings.require_same(config, tmp_path)
    config.steps += 1
    settings.require_same(config, tmp_path)
    config.mode = "evaluate"
    settings.require_same(config, tmp_path)
    config.ssls.weight, config.data.segments = 0.25, 32
    with pytest.raises(ValueError, match=r"data.segments \(null -> 32\), ssls.weight \(0.5 -> 0.25\); take another"):
        settings.require_same(config, tmp_path)
    config = base.get_config()
    config.steps -= 1
    with pytest.raises(ValueError, match=r"steps \(1000 -> 999\)"):
        settings.require_same(config, tmp_path)


def test_a_new_folder_takes_any_config(tmp_path):
    settings.require_same(base.get_config(), tmp_path / "new")


def test_summaries_of_seeds_keep_their_keys_and_every_number_becomes_a_spread():
    one = {"schema": 1, "seed": 3, "detector": "rtfm", "notes": ["a"], "versions": {"jax": "0.1"}}
    one |= {"metrics": {"last": {"auc": 0.8, "interval": {"auc": [0.7, 0.9]}}, "validation": None}}
    two = one | {"seed": 4, "notes": ["a", "b"]}
    two |= {"metrics": {"last": {"auc": 0.9, "interval": {"auc": [0.8, 1.0]}}, "validation": None}}
    both = settings.over_seeds([one, two])
    assert both.keys() == one.keys() and both["schema"] == 1 and both["detector"] == "rtfm"
    assert both["notes"] == ["a", "b"] and both["metrics"]["validation"] is None
    figure = both["metrics"]["last"]["auc"]
    assert figure["mean"] == pytest.approx(0.85) and figure["std"] == pytest.approx(0.1 / math.sqrt(2))
    assert figure["values"] == [0.8, 0.9] and both["seed"]["values"] == [3, 4]
    assert [x["mean"] for x in both["metrics"]["last"]["interval"]["auc"]] == pytest.approx([0.75, 0.95])


def test_a_figure_that_one_seed_lacks_is_listed_as_it_is():
    base_summary = {"notes": []}
    both = settings.over_seeds([base_summary | {"auc": 0.5}, base_summary | {"auc": None}])
    assert both["auc"] == [0.5, None]


def test_of_several_seeds_every_rules_mean_is_printed_and_a_missing_figure_is_a_dash():
    one = {"seed": 0, "rule": "last", "notes": []}
    figures = {"auc": 0.8, "auc_anomalous": None}
    summaries = [
        one | {"seed": 0, "metrics": {"last": figures, "validation": None, "best_on_test": figures | {"auc": 0.9}}},
        one | {"seed": 1, "metrics": {"last": figures | {"auc": 0.9}, "validation": None, "best_on_test": figures}},
    ]
    assert settings.lines(settings.over_seeds(summaries)) == [
        "frame AUC of seeds [0, 1]: 0.8000, 0.9000 (std 0.0707)",
        "best on the test set itself (as published tables often are; optimistic): "
        "mean, 0.8500 over all videos, - over anomalous ones",
        "headline: mean, last checkpoint",
        "frame AUC 0.8500",
        "anomalous only -",
    ]
    nothing = [one | {"seed": seed, "metrics": {"last": None}} for seed in (0, 1)]
    assert settings.lines(settings.over_seeds(nothing)) == ["no frame metrics: no test video with frame labels"]


def test_a_joined_figure_is_taken_apart_again():
    both = settings.over_seeds([{"notes": [], "auc": 0.5, "ap": 0.25}, {"notes": [], "auc": 0.75, "ap": None}])
    assert [settings.of_run(both["auc"], k) for k in (0, 1)] == [0.5, 0.75]
    assert [settings.of_run(both["ap"], k) for k in (0, 1)] == [0.25, None]
    assert settings.of_run(0.5, 0) == 0.5 and settings.of_run(None, 0) is None


def test_base_names_every_switch_and_coefficient_of_every_detector():
    config = base.get_config()
    for name in detectors.names():
        for variant in detectors.variants(name):
            known = set(config.switches) | set(config.losses)
            assert set(detectors.switches(name, variant)) <= known, (name, variant)
    assert not set(config.switches) & set(config.losses), "one way to set each"
    assert all(value is None for value in (*config.switches.values(), *config.losses.values()))


@pytest.mark.parametrize(
    ("module", "arg"),
    [(folder, None), (ped2, None)]
    + [(ped2, f"detector={name}") for name in ("rtfm", "tevad", "lap")]
    + [(c, f"detector={d},variant={v}") for c in (ucf, shanghaitech) for d in TRAINED for v in detectors.variants(d)]
    + [(shanghaitech, None), (shanghaitech, "detector=linear")],
)
def test_configs_set_switches_that_their_detector_has(module, arg):
    config = module.get_config(arg)
    changes = {k: v for k, v in (*config.switches.items(), *config.losses.items()) if v is not None}
    made = detectors.create(config.detector, detectors.Inputs(8, 8), config.variant, **changes)
    assert made.variant == (config.variant or detectors.variants(config.detector)[0])


def test_ucf_adds_the_programs_terms_to_the_paper_alone():
    paper, official = (ucf.get_config(f"variant={variant},features=SET") for variant in ("paper", "official"))
    assert (paper.detector, paper.data.features) == ("lap", "SET")
    assert (paper.losses.smoothness, paper.losses.sparsity, paper.losses.magnitude) == (2.6e-2, 3.2e-2, 1e-4)
    assert all(value is None for value in official.losses.values())
    with pytest.raises(ValueError, match="config argument 'model=lap' is not one of detector=…, variant=…, features=…"):
        ucf.get_config("model=lap")


def test_shanghaitech_masks_rows_for_the_paper_and_takes_segment_means_for_released_programs():
    paper, official, linear = (
        shanghaitech.get_config(arg) for arg in ("variant=paper,features=SET", "variant=official", "detector=linear")
    )
    assert (paper.detector, paper.data.features, paper.data.short, paper.data.segments) == ("rtfm", "SET", "mask", 64)
    assert (official.data.short, official.data.segments, official.steps, official.batch) == ("repeat", 32, 1000, 32)
    assert all(value is None for value in official.losses.values())
    assert (linear.variant, linear.data.short) == (None, "mask")
    assert {c.switches.crop_aggregation for c in (paper, official, linear)} == {"max"}, "a crop is a person"
    with pytest.raises(ValueError, match="config argument 'data=x' is not one of"):
        shanghaitech.get_config("data=x")
