"""Networks take turns: each is off the devices before the next comes, and read again from the host's memory."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvvad_jax.models import cogvideox
from gvvad_jax.models.cogvideox import stages, weights
from gvvad_jax.models.cogvideox.layout import ONE_DEVICE
from tests.models.cogvideox import random_folder

TOKENS = 5
TEXT = np.zeros((1, TOKENS, random_folder.TEXT), np.float32)
CLIP = dict(seed=0, frames=9, height=32, width=48, steps=2, guidance=1)


@pytest.fixture
def pipeline(tmp_path, monkeypatch):
    """Of a device without room for all networks at once."""
    monkeypatch.setattr(stages, "have_room", lambda num_bytes, layout: False)
    return cogvideox.load(random_folder.make(tmp_path / "folder", max_text_seq_length=TOKENS))


@pytest.fixture
def placed(monkeypatch):
    """Weak references to whatever the stages put on the device."""
    found, put = [], stages.Stage._put

    def kept(self, x):
        copy = jnp.copy(put(self, x))  # on a CPU the host's own arrays otherwise
        found.append(weakref.ref(copy))
        return copy

    monkeypatch.setattr(stages.Stage, "_put", kept)
    return found


def test_no_other_network_is_on_the_device_while_pictures_are_decoded(pipeline, placed, monkeypatch):
    alive, decode = [], pipeline.decode

    def watched(*given):
        alive.append(sum(x() is not None for x in placed))
        return decode(*given)

    monkeypatch.setattr(pipeline, "decode", watched)
    first, again = (pipeline.sample(TEXT, **CLIP) for _ in range(2))
    assert placed and alive == [0, 0]
    np.testing.assert_array_equal(first, again)


def test_weights_that_stay_on_the_devices_are_not_kept_on_the_host_as_well(tmp_path, monkeypatch):
    read, load = [], weights.load

    def watched(*given):
        found = load(*given)
        read.append((weakref.ref(found.body), weakref.ref(found.modulator)))
        return found

    monkeypatch.setattr(weights, "load", watched)
    monkeypatch.setattr(stages, "have_room", lambda num_bytes, layout: True)
    pipeline = cogvideox.load(random_folder.make(tmp_path / "folder", max_text_seq_length=TOKENS))
    pipeline.sample(TEXT, **CLIP)
    pipeline.sample(TEXT, **CLIP | dict(steps=3))
    gc.collect()
    assert len(read) == 1 and [x() for x in read[0]] == [None, None] and pipeline._body._host is None


def test_the_text_encoder_is_off_the_device_when_its_vectors_are_there(pipeline, placed):
    pipeline.encode(np.zeros((2, TOKENS), np.int32))
    assert placed and not any(x() is not None for x in placed)


class Device:
    """As far as it is asked: its platform and its memory."""

    def __init__(self, platform, limit):
        self.platform, self._limit = platform, limit

    def memory_stats(self):
        return self._limit and {"bytes_limit": self._limit}


@pytest.mark.parametrize(
    ("platform", "limit", "has_room"),
    [
        ("cpu", None, True),
        ("tpu", None, False),  # says nothing of its memory
        ("tpu", int(15.75 * 2**30), False),
        ("gpu", 104 * 2**30, True),
    ],
)
def test_5b_stays_whole_where_half_the_memory_holds_it(monkeypatch, platform, limit, has_room):
    monkeypatch.setattr(jax, "local_devices", lambda **_: [Device(platform, limit)])
    assert stages.have_room(20 * 2**30, ONE_DEVICE) == has_room


def test_without_a_cpu_to_wait_on_it_says_how_to_add_one(pipeline, monkeypatch):
    def missing(**_):
        raise RuntimeError("Unknown backend cpu")

    monkeypatch.setattr(jax, "local_devices", missing)
    with pytest.raises(ValueError, match="JAX_PLATFORMS=cuda,cpu"):
        cogvideox.load(pipeline.path)
