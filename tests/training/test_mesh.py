import jax
import numpy as np
import pytest

from gvvad_jax.training import mesh


def test_the_mesh_takes_the_most_devices_that_divide_the_batch(monkeypatch):
    class Device:
        def __init__(self, number, process):
            self.id, self.process_index = number, process

    # Devices of two processes, interleaved as some platforms number them.
    devices = [Device(i, i % 2) for i in range(12)]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    monkeypatch.setattr(jax, "device_count", lambda: 12)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "local_device_count", lambda: 6)
    for batch, count in ((12, 12), (8, 8), (32, 8), (20, 10), (6, 6), (2, 2)):
        chosen = mesh.devices(batch)
        assert len(chosen) == count
        assert [d.process_index for d in chosen] == [0] * (count // 2) + [1] * (count // 2)
    with pytest.raises(ValueError, match="batch=5 does not divide by 2 processes"):
        mesh.devices(5)


def test_what_it_says():
    assert mesh.description(1, 4) == "laid over 1 device"
    assert mesh.description(0, 4) == "laid over 0 of 1 devices: the largest number that divides batch=4"


def test_replicated_values_are_the_given_ones():
    made = mesh.make(3)
    tree = {"a": np.arange(3.0, dtype=np.float32), "b": np.zeros((0,), np.float32)}
    placed = mesh.replicate(tree, made)
    assert all(np.array_equal(placed[k], tree[k]) for k in tree)
    assert placed["a"].sharding.is_fully_replicated
    assert jax.random.key_data(mesh.key(3, made)).tolist() == jax.random.key_data(jax.random.key(3)).tolist()


def test_processes_are_named_whole_or_not_at_all():
    with pytest.raises(ValueError, match="--coordinator, --num_processes and --process_id together"):
        mesh.start(None, "localhost:1", 2, None, False)
