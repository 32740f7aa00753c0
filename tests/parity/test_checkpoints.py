"""Released state dicts: their names, reading them in both of torch's formats, and writing them again."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install -e '.[test,parity]'")

from gvvad_jax import detectors  # noqa: E402
from tests.parity import cases, released  # noqa: E402

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def aggregate(prefix):
    """The 41 names of one temporal network, in the order of a released file."""
    names = []
    for i in (1, 2, 3):
        names += [f"conv_{i}.0.weight", f"conv_{i}.0.bias", *(f"conv_{i}.2.{n}" for n in NORM)]
    names += ["conv_4.0.weight", "conv_5.0.weight", *(f"conv_5.2.{n}" for n in NORM)]
    names += ["non_local.g.weight", "non_local.g.bias", "non_local.W.0.weight", "non_local.W.0.bias"]
    names += [f"non_local.W.1.{n}" for n in NORM]
    names += [f"non_local.{layer}.{n}" for layer in ("theta", "phi") for n in ("weight", "bias")]
    return [f"{prefix}.{n}" for n in names]


def linear(*names):
    return [f"{name}.{tensor}" for name in names for tensor in ("weight", "bias")]


HEAD = linear("fc1", "fc2", "fc3")
BOTH = aggregate("Aggregate") + aggregate("Aggregate_text")


@pytest.mark.parametrize(
    ("arguments", "names", "parameters"),
    [
        ({"fusion": "concat"}, BOTH + HEAD, 7_496_513),
        ({"fusion": "concat", "vlr": 0.5}, ["VLR", *BOTH, *HEAD], 7_496_514),
        ({"fusion": "add"}, BOTH + linear("fc0") + HEAD, 7_693_889),
        ({"fusion": "product"}, BOTH + linear("fc0") + HEAD, 7_693_889),
        ({"fusion": "add_up"}, BOTH + linear("fc_vis", "fc_text") + HEAD, 9_858_881),
        ({"visual": 2048}, BOTH + HEAD, 28_433_953),
        ({"visual": 2048, "fusion": "add"}, BOTH + linear("fc0") + HEAD, 28_959_009),
        ({"visual": 1024, "fusion": "add"}, BOTH + linear("fc0") + HEAD, 10_472_353),
        ({"group": "rtfm", "visual": 2048, "text": 0}, aggregate("Aggregate") + HEAD, 24_718_849),
        ({"group": "vis", "vlr": 0.5}, ["VLR", *BOTH, *linear("fc0"), *HEAD], 7_693_890),
        ({"group": "vis", "unused_fc0": False}, BOTH + HEAD, 7_103_297),
    ],
)
def test_the_reference_has_the_released_names_in_order_and_as_many_numbers(arguments, names, parameters):
    with torch.device("meta"):
        network = released.Network(**({"visual": 768, "text": 768} | arguments))
    assert list(network.state_dict()) == names
    assert sum(p.numel() for p in network.parameters()) == parameters


EVERY = [
    *(cases.Case("lap", "official", fusion=fusion, text=32) for fusion in ("concat", "add", "product", "add_up")),
    cases.Case("tevad", "gvvad", fusion="add"),
    cases.Case("rtfm", "official"),
]


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_a_checkpoint_is_read_and_given_back_bit_for_bit(case, legacy, tmp_path):
    network = case.network()
    detector = case.load(cases.save(network, tmp_path / "best.pkl", legacy, "module." if legacy else ""))
    given = detectors.to_official(detector)
    state = network.state_dict()
    assert set(given) == set(state)
    for name, value in state.items():
        assert given[name].dtype == value.numpy().dtype and np.array_equal(given[name], value.numpy()), name


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_what_we_write_torch_loads_strictly(case):
    detector = detectors.create(
        case.name, case.inputs(), variant=case.variant, **({} if case.name == "rtfm" else {"fusion": case.fusion})
    )
    network = case.network()
    network.load_state_dict({n: torch.as_tensor(np.array(v)) for n, v in detectors.to_official(detector).items()})
    for name, module in network.named_modules():
        # As the programs start: Xavier uniform, zero biases, and a non-local block that is the identity.
        if isinstance(module, torch.nn.Conv1d | torch.nn.Linear):
            fan = module.weight[0].numel() + module.weight[:, 0].numel()
            bound, largest = (6 / fan) ** 0.5, float(module.weight.detach().abs().max())
            assert 0.5 * bound < largest <= bound * (1 + 1e-6), name
            assert module.bias is None or not module.bias.any(), name
        elif isinstance(module, torch.nn.BatchNorm1d):
            assert bool(module.weight.all()) != name.endswith("non_local.W.1") and not module.bias.any(), name
            assert not module.running_mean.any() and (module.running_var == 1).all(), name


@pytest.mark.parametrize(("vlr", "unused_fc0"), [(0.5, True), (None, False)], ids=["head", "history"])
def test_layers_that_rtfm_mode_never_uses_are_dropped(vlr, unused_fc0, tmp_path):
    case = cases.Case("rtfm", "gvvad")
    network = released.Network(case.visual, case.text, group="vis", vlr=vlr, unused_fc0=unused_fc0)
    released.randomise(network, 3)
    detector = case.load(cases.save(network, tmp_path / "best.pkl"))
    used = {n for n in network.state_dict() if n.startswith(("Aggregate.", "fc1", "fc2", "fc3"))}
    given = detectors.to_official(detector)
    assert set(given) == used
    assert all(np.array_equal(given[n], network.state_dict()[n].numpy()) for n in used)


@pytest.mark.parametrize("name", ["lap", "tevad"])
def test_a_scalar_vlr_is_dropped_where_lambda_is_not_learnt(name, tmp_path):
    case = cases.Case(name, "gvvad")
    network = released.randomise(released.Network(case.visual, case.text, vlr=0.3), 4)
    given = detectors.to_official(case.load(cases.save(network, tmp_path / "best.pkl")))
    assert set(given) == set(network.state_dict()) - {"VLR"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: state.pop("fc2.bias"), "fc2.bias"),
        (lambda state: state.update({"fc4.bias": torch.zeros(3)}), "fc4.bias"),
        (lambda state: state.update({"fc3.weight": torch.zeros(2, 128)}), "fc3.weight"),
    ],
    ids=["missing", "extra", "misshapen"],
)
@pytest.mark.parametrize("name", ["lap", "tevad", "rtfm"])
def test_a_missing_extra_or_misshapen_tensor_is_refused_by_name(name, change, named, tmp_path):
    case = cases.Case(name, "official")
    state = dict(case.network().state_dict())
    change(state)
    torch.save(state, tmp_path / "best.pkl")
    with pytest.raises(ValueError, match=named):
        case.load(tmp_path / "best.pkl")
