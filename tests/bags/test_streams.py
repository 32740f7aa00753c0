import collections
import itertools

import numpy as np
import pytest

from gvvad_jax.bags import streams


def rows(real_normal=5, real_anomalous=7, synthetic_normal=3, synthetic_anomalous=4):
    counts = {(0, 0): real_normal, (1, 0): real_anomalous, (0, 1): synthetic_normal, (1, 1): synthetic_anomalous}
    return [
        {"id": f"{label}{synthetic}-{i}", "label": label, "synthetic": synthetic}
        for (label, synthetic), count in counts.items()
        for i in range(count)
    ]


def groups(batch, table=None, **options):
    table = table or rows()
    chosen = streams.kept(table, data_seed=options.get("data_seed", 0))
    return table, streams.groups(table, chosen, batch, **options)


def drawn(group, batches):
    return np.concatenate([group[i] for i in range(batches)])


@pytest.mark.parametrize("batch", [1, 3, 4, 16])
def test_a_stream_is_permutations_end_to_end(batch):
    _, (normal, anomalous) = groups(batch)
    for group, size in ((normal, 8), (anomalous, 11)):
        sequence = drawn(group, 3 * size // batch + 2)
        passes = [tuple(sequence[i : i + size]) for i in range(0, len(sequence) - size + 1, size)]
        assert all(sorted(p) == sorted(group.rows) for p in passes)
        assert len(set(passes)) == len(passes), "every pass is a fresh permutation"


def test_the_position_is_the_step():
    _, first = groups(4)
    _, second = groups(4)
    forward = [first[0][i].tolist() for i in range(40)]
    assert [second[0][i].tolist() for i in reversed(range(40))][::-1] == forward


def test_drop_last_leaves_the_rest_of_each_pass_out():
    _, (normal, _) = groups(3, drop_last=True)
    for start in (0, 2, 4):
        assert len(set(np.concatenate([normal[start], normal[start + 1]]))) == 6
    with pytest.raises(ValueError, match="takes 9 normal videos, but there are 8"):
        groups(9, drop_last=True)


def test_permutations_are_uniform():
    counts = collections.Counter(
        tuple(streams.Order(range(4), (seed, streams.NORMAL), 4)[0].tolist()) for seed in range(4800)
    )
    assert set(counts) == set(itertools.permutations(range(4)))
    chi_square = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert chi_square < 58, "23 degrees of freedom: 58 is passed once in 20,000 times"


def test_streams_of_neighbouring_seeds_share_no_pass():
    seeds = [streams.Order(range(20), (seed, streams.NORMAL), 20) for seed in range(6)]
    passes = [tuple(order[i].tolist()) for order in seeds for i in range(6)]
    assert len(set(passes)) == len(passes)


def test_the_two_streams_of_equal_classes_differ():
    table, (normal, anomalous) = groups(6, rows(6, 6, 0, 0))
    assert (normal[0] % 6).tolist() != (anomalous[0] % 6).tolist()


def test_a_fixed_synthetic_share_holds_in_every_batch_and_covers_both_sources():
    table, made = groups(4, synthetic_share=0.25)
    for group in made:
        flags = np.array([[table[row]["synthetic"] for row in group[i]] for i in range(60)])
        assert (flags.sum(1) == 1).all()
        assert len(set(flags.argmax(1))) == 4, "at every place of the batch"
        for source in (group.real, group.synthetic):
            size = len(source.rows)
            assert sorted(drawn(source, size)[:size]) == sorted(source.rows), "each source without replacement"


def test_a_share_of_all_or_none():
    table, made = groups(4, synthetic_share=1.0)
    assert all(table[row]["synthetic"] for group in made for row in drawn(group, 5))
    table, made = groups(4, synthetic_share=0.0)
    assert not any(table[row]["synthetic"] for group in made for row in drawn(group, 5))


def test_a_class_without_synthetic_videos_stays_real_under_a_share():
    table, (normal, anomalous) = groups(4, rows(5, 5, 0, 5), synthetic_share=0.5)
    assert not any(table[row]["synthetic"] for row in drawn(normal, 5))
    assert all(sum(table[row]["synthetic"] for row in anomalous[i]) == 2 for i in range(5))


@pytest.mark.parametrize(("option", "labels"), [("both", {0, 1}), ("anomalous", {1}), ("normal", {0})])
def test_synthetic_videos_of_one_class_alone(option, labels):
    table = rows()
    chosen = streams.kept(table, synthetic=option)
    assert {table[i]["label"] for i in chosen if table[i]["synthetic"]} == labels
    assert sum(not table[i]["synthetic"] for i in chosen) == 12


def test_fraction_keeps_a_share_of_each_real_class_and_all_synthetic():
    table = rows(9, 11)
    half = streams.kept(table, fraction=0.5, data_seed=3)
    counts = collections.Counter((table[i]["label"], table[i]["synthetic"]) for i in half)
    assert counts == {(0, 0): 4, (1, 0): 5, (0, 1): 3, (1, 1): 4}
    assert set(half) <= set(streams.kept(table, fraction=0.8, data_seed=3))
    assert half != streams.kept(table, fraction=0.5, data_seed=4)


def test_shuffled_draws_one_stream_and_normal_only_no_anomalous_video():
    table, (everything,) = groups(19, sampler="shuffled")
    assert sorted(everything[0]) == list(range(19))
    table, (normal,) = groups(3, sampler="normal_only")
    assert not any(table[row]["label"] for row in drawn(normal, 9))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sampler": "random"}, "data.sampler is 'random'; choose one of paired"),
        ({"synthetic_share": 1.5}, "data.synthetic_share is 1.5"),
        ({"batch": 0}, "batch is 0"),
        ({"table": rows(5, 0, 0, 0)}, "needs anomalous videos, but none"),
        ({"table": rows(5, 5, 0, 0), "synthetic_share": 0.5}, "no training video is synthetic"),
        ({"batch": 4, "synthetic_share": 0.1}, "0.1 of 4 normal videos rounds to 0, which leaves the synthetic"),
        ({"batch": 4, "synthetic_share": 0.9}, "0.9 of 4 normal videos rounds to 4, which leaves the real ones"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, sentence):
    options = {"batch": 2} | change
    with pytest.raises(ValueError, match=sentence):
        groups(options.pop("batch"), **options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"synthetic": "all"}, "data.synthetic is 'all'"),
        ({"fraction": 0.0}, "data.fraction is 0.0"),
        ({"fraction": 0.1}, "leaves none of 5 real normal"),
        ({"data_seed": -1}, "data_seed is -1"),
    ],
)
def test_what_cannot_be_kept_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        streams.kept(rows(), **options)


def test_unlabelled_training_videos_are_refused_by_name():
    with pytest.raises(ValueError, match=r"1 of 20 training videos have no label \(odd\)"):
        streams.kept([*rows(), {"id": "odd", "label": -1, "synthetic": 0}])
