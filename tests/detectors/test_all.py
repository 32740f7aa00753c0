"""What every detector in every variant must do."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax import detectors, records
from gvvad_jax.losses import ssls
from gvvad_jax.nn.inputs import Columns
from tests.detectors import cases

every = pytest.mark.parametrize(("name", "variant"), cases.EVERY)


def finite(tree):
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


@every
def test_terms_are_rows_that_sum_to_the_loss_in_every_ssls_mode(name, variant):
    made, flags = cases.detector(name, variant), [0, 1, 0, 1]
    b = cases.batch(cases.videos([32] * 4), 32, synthetic=flags)
    outputs = cases.forward(made, b, jax.random.key(0), "batch")
    terms = cases.terms(made, outputs, b)
    assert set(terms) == set(made.coefficients())
    own = detectors.ssls_mode(made)
    for mode in {own, "off", "official_batch_scalar"}:
        loss, values = ssls.combine(terms, jnp.array(flags), 0.5, mode)
        np.testing.assert_allclose(sum(values.values()), loss, rtol=1e-6)
    for term in terms.values():
        if term.videos is not None:
            assert term.videos.shape[:-1] == term.rows.shape and term.denominator == term.rows.size
            assert term.videos.min() >= 0 and term.videos.max() < 4
    doubled = cases.terms(made, outputs, b, {key: 2 * value for key, value in made.coefficients().items()})
    for key, term in terms.items():
        np.testing.assert_allclose(doubled[key].rows, 2 * term.rows, rtol=1e-6)


@every
def test_lambda_zero_with_dropout_keeps_loss_and_gradients_finite(name, variant):
    made = cases.detector(name, variant)
    b = cases.batch(cases.videos([32] * 4), 32, synthetic=[0, 1, 0, 1])
    mode = detectors.ssls_mode(made)
    total, _, outputs, gradients, _ = cases.losses(made, b, 0.0, jax.random.key(0), mode=mode)
    assert finite((total, outputs, gradients))
    assert any(np.asarray(leaf).any() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("name", detectors.names())
def test_padded_videos_score_as_alone(name):
    made, lengths = cases.detector(name), [1, 2, 9, 40]  # variants differ in training alone
    arrays = cases.videos(lengths, crops=3)
    texts = cases.text_of(arrays)
    padded, text = np.full((4, 3, 40, 12), 1e3, np.float32), np.full((4, 40, cases.TEXT), 1e3, np.float32)
    for i, (x, t) in enumerate(zip(arrays, texts, strict=True)):
        padded[i, :, : x.shape[1]], text[i, : len(t)] = x, t
    together = detectors.scores(made, padded, text, lengths=lengths)
    assert together.shape == (4, 40) and together.min() >= 0 and together.max() <= 1
    for i, x in enumerate(arrays):
        np.testing.assert_allclose(
            together[i, : lengths[i]], detectors.scores(made, x[None], texts[i][None])[0], atol=1e-6
        )
        assert not together[i, lengths[i] :].any()


@every
def test_padding_changes_no_term_under_batch_statistics(name, variant):
    if getattr(cases.detector(name, variant).switches, "regularised", "video") != "video":
        pytest.skip("refuses padding in training, see test_rtfm")
    made, arrays = cases.detector(name, variant), cases.videos([5, 9, 9, 2])
    runs = []
    for length, junk in ((9, 0.0), (16, 1e3)):
        b = cases.batch(arrays, length, junk=junk)
        outputs = cases.forward(made, b, statistics="batch")
        runs.append((ssls.combine(cases.terms(made, outputs, b), b.synthetic.reshape(-1), 1.0)[1], outputs))
    for key in runs[0][0]:
        np.testing.assert_allclose(runs[0][0][key], runs[1][0][key], rtol=1e-5)
    np.testing.assert_allclose(runs[0][1].scores, runs[1][1].scores[:, :, :9], atol=1e-6)


@every
def test_bundle_round_trip_with_changed_switches_and_blocks(name, variant, tmp_path):
    blocks = (Columns("appearance", 0, 8), Columns("differences", 8, 12))
    changed = dict(crop_aggregation="max", root=True, components=5, normalise="standardise", clip=4.0, smooth=3, k=2)
    made = cases.detector(name, variant, blocks=blocks, **changed)
    detectors.bundle.save(tmp_path / "bundle", made, {"encoder": "none"}, {"seed": 3}, threshold=0.25)
    again, config = detectors.bundle.load(tmp_path / "bundle")
    assert (again.name, again.variant, again.switches) == (name, variant, made.switches)
    assert again.inputs == made.inputs
    if name == "lap":
        np.testing.assert_array_equal(again.inputs.prompts, made.inputs.prompts)
    assert config["extraction"] == {"encoder": "none"} and config["threshold"] == 0.25
    arrays = cases.videos([9])
    visual, text = arrays[0][None], cases.text_of(arrays)[0][None]
    expected = detectors.scores(made, visual, text)
    np.testing.assert_array_equal(detectors.scores(again, visual, text), expected)
    inputs = cases.inputs(name, 12, blocks)
    loaded = detectors.load(name, tmp_path / "bundle", inputs, variant)
    np.testing.assert_array_equal(detectors.scores(loaded, visual, text), expected)
    other = detectors.load(name, tmp_path / "bundle", inputs, variant, smooth=1)
    assert other.switches.smooth == 1 and np.abs(detectors.scores(other, visual, text) - expected).max() > 0


def test_blocks_of_records_are_taken_as_they_are():
    blocks = (records.Block(name="appearance", start=0, stop=8), records.Block(name="flow", start=8, stop=12))
    made = detectors.create("linear", detectors.Inputs(12, blocks=blocks), components=3)
    assert made.transform.width == 6
    assert made.inputs == detectors.Inputs(12, blocks=(Columns("appearance", 0, 8), Columns("flow", 8, 12)))


def test_numbers_of_numpy_are_numbers():
    switches = detectors.create("rtfm", detectors.Inputs(4), k=np.int64(2), magnitude=np.float32(0.5)).switches
    assert (switches.k, switches.magnitude) == (2, 0.5) and type(switches.magnitude) is float


@every
def test_seeds_choose_the_weights(name, variant):
    make = lambda seed: detectors.bundle.arrays(cases.detector(name, variant, seed=seed, generic=False))  # noqa: E731
    first, second, other = make(0), make(0), make(1)
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])
    kernels = [key for key in first if key.endswith("kernel")]
    if name == "linear":  # starts from one and the same place; seeds choose its noise
        assert all((first[key] == other[key]).all() for key in kernels)
    else:
        assert kernels and all((first[key] != other[key]).any() for key in kernels)


def test_names_say_what_stands_behind_each_detector():
    assert list(detectors.names()) == ["lap", "tevad", "rtfm", "linear"]
    assert all(status for status in detectors.names().values())
    assert detectors.variants("rtfm") == ("paper", "gvvad", "official")
    assert detectors.switches("rtfm")["k"] == 3 and detectors.switches("rtfm", "official")["sparsity"] == 8e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda i: detectors.create("lap2", i),
            "detector 'lap2' does not exist; choose one of lap, tevad, rtfm",
        ),
        (lambda i: detectors.create("rtfm", i, "mine"), "rtfm has no variant 'mine'; choose one of paper, gvvad, offi"),
        (
            lambda i: detectors.create("rtfm", i, top=3),
            "rtfm paper has no switch 'top'; its switches are causal, classification, clip",
        ),
        (lambda i: detectors.create("rtfm", i, k=-1), "rtfm paper: switch k is -1; it must lie between 0 and"),
        (lambda i: detectors.create("rtfm", i, k=2.5), "switch k is 2.5; give a whole number"),
        (lambda i: detectors.create("rtfm", i, dropout="high"), "switch dropout is 'high'; give a number"),
        (lambda i: detectors.create("rtfm", i, dropout=1.5), "switch dropout is 1.5; it must lie between 0.0 and 1.0"),
        (lambda i: detectors.create("rtfm", i, k=float("inf")), "switch k is inf; give a whole number"),
        (lambda i: detectors.create("rtfm", i, magnitude=float("inf")), "switch magnitude is inf; give a number"),
        (lambda i: detectors.create("rtfm", i, causal=1), "switch causal is 1; choose one of False, True"),
        (lambda i: detectors.create("linear", i, crop_aggregation="sum"), "is 'sum'; choose one of 'max', 'mean'"),
        (lambda i: detectors.Inputs(0), "the visual width is 0"),
        (lambda i: detectors.Inputs(4, text=-1), "the text width is -1"),
        (lambda i: detectors.Inputs(4, 2, [[1, 2], [3]]), "the prompt bank is no array of numbers"),
        (lambda i: detectors.Inputs(4, 2, [[1, 2, 3]]), "the prompt bank is 3 columns wide, but the text 2"),
        (lambda i: detectors.Inputs(4, blocks=(Columns("a", 0, 3),)), "end at column 3, but the visual width is 4"),
        (lambda i: detectors.Inputs(4, blocks=(Columns("a", 1, 4),)), "block a covers columns 1 to 4"),
        (lambda i: detectors.Inputs(4, blocks=(Columns("a", 0, 2), Columns("a", 2, 4))), "share a name among a, a"),
        (lambda i: detectors.ssls_mode(detectors.create("linear", i), "half"), "SSLS mode 'half' does not exist"),
        (lambda i: detectors.scores(detectors.create("linear", i), np.zeros((1, 1, 3, 4), np.float32)), "fit_inputs"),
        (lambda i: scores(i, width=5), "5 columns wide, but this rtfm was made for 4"),
        (lambda i: scores(i, lengths=[4]), "lengths must be 1 numbers from 0 to 3"),
        (lambda i: scores(i, lengths=[1, 2]), "lengths must be 1 numbers"),
    ],
)
def test_what_does_not_exist_or_fit_is_one_sentence(call, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        call(detectors.Inputs(4))
    assert "\n" not in str(error.value)


def scores(inputs, width=4, lengths=None):
    return detectors.scores(detectors.create("rtfm", inputs), np.zeros((1, 1, 3, width), np.float32), lengths=lengths)
