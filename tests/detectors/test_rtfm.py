import jax
import numpy as np
import pytest
from flax import nnx

from gvvad_jax import detectors
from gvvad_jax.detectors import official
from gvvad_jax.losses import ssls
from tests.detectors import cases, rtfm_reference


def per_video(outputs, field, arrays):
    values = np.asarray(getattr(outputs, field))
    values = values.reshape(-1, *values.shape[2:])
    return [
        v[..., : x.shape[1]] if field != "features" else v[:, : x.shape[1]] for v, x in zip(values, arrays, strict=True)
    ]


@pytest.mark.parametrize("statistics", ["running", "batch"])
@pytest.mark.parametrize("variant", ["paper", "gvvad", "official"])
def test_forward_terms_and_statistics_against_float64(variant, statistics):
    lengths = [64] * 4 if variant == "official" else [20, 3, 9, 13, 1, 2]
    made, arrays = cases.detector(variant=variant), cases.videos(lengths)
    network = rtfm_reference.Network(detectors.to_official(made), statistics)
    z, crop_scores = network(arrays)
    expected = rtfm_reference.loss_terms(variant, z, crop_scores)
    padded = lengths[0] if variant == "official" else 23
    total, terms, outputs, _, state = cases.losses(made, cases.batch(arrays, padded), statistics=statistics)
    for ours, theirs in zip(per_video(outputs, "crop_scores", arrays), crop_scores, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-6)
    for ours, theirs in zip(per_video(outputs, "scores", arrays), crop_scores, strict=True):
        np.testing.assert_allclose(ours, theirs.mean(0), atol=2e-6)
    for ours, theirs in zip(per_video(outputs, "features", arrays), z, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)
    assert set(terms) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(total, sum(expected.values()), rtol=1e-5)
    nnx.update(made, state)
    after = detectors.to_official(made)
    for name, value in network.learnt.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("variant", ["paper", "official"])
def test_gradients_against_differences_of_the_float64_loss(variant):
    made, arrays = cases.detector(variant=variant, width=8), cases.videos([32] * 4, width=8)
    tensors = {name: np.asarray(v, np.float64) for name, v in detectors.to_official(made).items()}
    _, _, _, gradients, _ = cases.losses(made, cases.batch(arrays, 32))
    gradients = detectors.to_official(made, official.named(gradients))
    assert set(gradients) == {n for n in tensors if not n.endswith(("mean", "var", "tracked"))}

    def loss(shift):
        moved = tensors | {n: tensors[n] + shift * direction[n] for n in direction}
        z, s = rtfm_reference.Network(moved, "batch")(arrays)
        return sum(rtfm_reference.loss_terms(variant, z, s).values())

    rng = np.random.default_rng(3)
    for names in (list(gradients), ["fc1.weight"], ["Aggregate.non_local.theta.weight"], ["Aggregate.conv_3.0.weight"]):
        direction = {n: rng.normal(size=tensors[n].shape) for n in names}
        slope = (loss(1e-7) - loss(-1e-7)) / 2e-7
        ours = sum(float((gradients[n] * direction[n]).sum()) for n in names)
        np.testing.assert_allclose(ours, slope, rtol=2e-3, err_msg=str(names[:1]))


def test_released_names_shapes_and_count_at_2048():
    abstract = nnx.eval_shape(lambda: detectors.create("rtfm", detectors.Inputs(2048)))
    shapes = {
        ".".join(map(str, path)): leaf.shape
        for path, leaf in nnx.to_flat_state(nnx.state(abstract, nnx.Any(nnx.Param, nnx.BatchStat)))
    }
    table = official.table_of(cases.detector(width=8))
    assert table is not None and set(shapes) == set(table)
    released = {table[path][0]: shape[::-1] if table[path][1] else shape for path, shape in shapes.items()}
    assert len(released) == 47
    counted = {name: shape for name, shape in released.items() if not name.endswith(("mean", "var", "tracked"))}
    assert sum(int(np.prod(shape)) for shape in counted.values()) == 24_718_849
    assert released["Aggregate.conv_2.0.weight"] == (512, 2048, 3)
    assert released["Aggregate.conv_5.0.weight"] == (2048, 2048, 3)
    assert released["Aggregate.non_local.W.0.weight"] == (512, 256, 1)
    assert released["fc2.weight"] == (128, 512)
    made = cases.detector(width=8)
    small = detectors.to_official(made)
    back = detectors.from_official(made, small)
    assert set(back) == set(table)
    for path, array in official.named(nnx.state(made, nnx.Any(nnx.Param, nnx.BatchStat))).items():
        if path in table:
            np.testing.assert_array_equal(back[path], array)
    with pytest.raises(ValueError, match="belong to no part of this rtfm"):
        detectors.from_official(made, {"Aggregate_text.conv_1.0.weight": np.zeros(3)})
    assert len(small) == 47 and small["Aggregate.conv_1.2.num_batches_tracked"].dtype == np.int64


def test_crop_aggregation_by_mean_and_by_max():
    arrays = cases.videos([7, 4], crops=3)
    for how in ("mean", "max"):
        made = cases.detector(crop_aggregation=how)
        outputs = cases.forward(made, cases.batch(arrays, 7))
        crops = np.asarray(outputs.crop_scores)
        np.testing.assert_allclose(outputs.scores, getattr(crops, how)(2), atol=1e-6)
        valid = np.asarray(cases.batch(arrays, 7).mask)
        np.testing.assert_allclose(
            np.exp(np.asarray(outputs.log_score))[valid], np.asarray(outputs.scores)[valid], rtol=1e-5
        )
        np.testing.assert_allclose(
            np.exp(np.asarray(outputs.log_complement))[valid], 1 - np.asarray(outputs.scores)[valid], rtol=1e-5
        )


def test_released_forms_select_by_dropped_out_magnitude_with_a_key_alone():
    made, b = cases.detector(variant="gvvad", width=32), cases.batch(cases.videos([64] * 8, width=32), 64)
    still, dropped = cases.forward(made, b), cases.forward(made, b, jax.random.key(0))
    np.testing.assert_array_equal(still.ranking, still.magnitudes)
    kept = np.asarray(dropped.ranking) != 0
    assert abs(kept.mean() - 0.3) < 0.08  # four standard deviations of 512 draws
    np.testing.assert_array_equal(np.asarray(dropped.ranking)[kept], np.asarray(dropped.magnitudes)[kept])
    assert abs(np.mean(kept[0] & kept[1]) - 0.09) < 0.06  # each half draws its own
    # Features are dropped at the same rate, scaled up, and not by the same draw.
    z, whole = np.asarray(dropped.features), np.asarray(still.features)
    assert abs((z != 0).mean() - 0.3) < 0.01
    np.testing.assert_allclose(z[z != 0], whole[z != 0] / 0.3, rtol=1e-4, atol=1e-5)


def test_the_paper_selects_by_score_and_by_whole_magnitude():
    made, b = cases.detector(), cases.batch(cases.videos([9] * 4), 9)
    outputs = cases.forward(made, b)
    spoilt = outputs.replace(ranking=-outputs.ranking)
    found, wanted = cases.terms(made, spoilt, b), cases.terms(made, outputs, b)
    for name, term in wanted.items():
        np.testing.assert_array_equal(found[name].rows, term.rows)


def test_same_key_same_bits_and_other_keys_other_scores():
    made, b = cases.detector(), cases.batch(cases.videos([9] * 4), 9)
    first, second, other = (np.asarray(cases.forward(made, b, jax.random.key(k)).scores) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 1e-3


def test_official_refuses_lengths_padding_and_ssls_per_sample():
    made = cases.detector(variant="official")

    def trace(lengths, mode):
        b = cases.batch(cases.videos(lengths), lengths[0])

        def loss():
            terms = made.terms(made(b.visual, b.text, b.mask, b.text_mask), b, 0)
            return ssls.combine(terms, b.synthetic.reshape(-1), 0.5, mode)

        jax.eval_shape(loss)

    for lengths, mode, words in (
        ([40] * 4, "off", "multiples of 32, not 40"),
        ([32] * 4, "per_sample", "no row has a λ of its own"),
    ):
        with pytest.raises(ValueError, match=words):
            trace(lengths, mode)
    trace([32] * 4, "off")
    for segments, short, mode, words in (
        (40, "repeat", None, "multiples of 32, not 40"),
        (32, "mask", None, "know no padding"),
        (64, "repeat", "per_sample", "across the borders of videos"),
        (64, "repeat", "per_video", "'per_video' does not exist"),
    ):
        with pytest.raises(ValueError, match=words):
            detectors.check_training(made, segments, short, mode)
    assert detectors.check_training(made, 64) == "off"
    without = cases.detector(variant="official", smoothness=0, sparsity=0)
    assert detectors.check_training(without, 40, "mask", "per_sample") == "per_sample"
    assert detectors.check_training(cases.detector(variant="gvvad"), 40, "mask") == "official_batch_scalar"
    assert detectors.check_training(cases.detector(), 40, "mask", "per_sample") == "per_sample"


def test_unpaired_batches_are_refused():
    made, b = cases.detector(), cases.batch(cases.videos([5] * 4), 5)
    flat = jax.tree.map(lambda a: a.reshape(1, 4, *a.shape[2:]), b)
    with pytest.raises(ValueError, match="data.sampler=paired"):
        made.terms(cases.forward(made, flat), flat, 0)


def test_smoothness_and_sparsity_by_video_can_be_switched_on():
    arrays = cases.videos([8, 8, 8, 5])
    made = cases.detector(smoothness=0.5, sparsity=0.25)
    b = cases.batch(arrays, 8)
    outputs = cases.forward(made, b)
    _, terms = ssls.combine(cases.terms(made, outputs, b), b.synthetic.reshape(-1), 1.0)
    s = [np.asarray(outputs.scores)[1, i, :n] for i, n in enumerate((8, 5))]
    np.testing.assert_allclose(terms["smoothness"], 0.5 * np.mean([(np.diff(x) ** 2).sum() for x in s]), rtol=1e-4)
    np.testing.assert_allclose(terms["sparsity"], 0.25 * np.mean([np.linalg.norm(x) for x in s]), rtol=1e-5)


def test_all_padding_videos_leave_loss_and_gradients_finite():
    made = cases.detector()
    b = cases.batch(cases.videos([5, 0, 0, 0]), 6)
    total, _, _, gradients, _ = cases.losses(made, b, 0.0, jax.random.key(0), mode="per_sample")
    assert np.isfinite(total) and all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))
