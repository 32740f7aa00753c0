"""Weights by folder or by a name of the hub; no test uses the network."""

import pytest
from huggingface_hub import errors

from gvvad_jax.features import sentences
from gvvad_jax.weights import hub
from tests.features import bert_folder

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty download cache, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub"


def download(cache, name):
    """Lays a model out as a download leaves it."""
    kept = cache / f"models--{name.replace('/', '--')}"
    folder = bert_folder.make(kept / "snapshots" / REVISION)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(REVISION)
    return folder


def test_a_path_that_exists_is_taken_even_if_it_looks_like_a_hub_name(cache, tmp_path):
    download(cache, "some/bert")
    (tmp_path / "some" / "bert").mkdir(parents=True)
    assert hub.folder_of("some/bert").resolve() == (tmp_path / "some" / "bert").resolve()
    (tmp_path / "file.pth").touch()
    assert hub.folder_of(tmp_path / "file.pth") == tmp_path / "file.pth"


def test_a_downloaded_model_is_found_by_its_hub_name_without_a_network(cache):
    folder = download(cache, "some/small-bert")
    assert hub.folder_of("some/small-bert") == folder
    encoder = sentences.create("some/small-bert")
    assert encoder.identity["name"] == "small-bert"
    assert encoder.identity["weights_sha256"] == sentences.create(folder).identity["weights_sha256"]


def test_simcse_by_its_hub_name_is_what_published_text_features_name(cache):
    download(cache, "princeton-nlp/sup-simcse-bert-base-uncased")
    encoder = sentences.create("princeton-nlp/sup-simcse-bert-base-uncased")
    assert encoder.identity["name"] == "sup-simcse-bert-base-uncased"
    assert (encoder.pooling, encoder.is_normalised) == ("pooler", False)


@pytest.mark.parametrize("name", ["absent", "a/b/c", "../some/bert", "/absent/folder", "some/"])
def test_what_is_neither_a_path_nor_a_hub_name_says_so(name):
    with pytest.raises(FileNotFoundError, match="no such file or folder, and no name of the hub"):
        hub.folder_of(name)


def test_a_hub_name_that_cannot_be_had_mentions_both_readings():
    with pytest.raises(FileNotFoundError) as caught:
        hub.folder_of("some/bert")
    said = str(caught.value)
    assert said.startswith("some/bert: there is no such folder here, and as a name of the hub, it was not downloaded")
    assert said.endswith("fetch the model elsewhere and name its folder.") and "\n" not in said


@pytest.mark.parametrize(
    ("answered", "why"),
    [
        ("RepositoryNotFoundError", "the hub has no such model"),
        ("GatedRepoError", "the hub wants its terms accepted"),
        ("OSError", "it cannot be fetched from the hub (no space left on device)"),
    ],
)
def test_what_the_hub_answers_is_one_sentence(monkeypatch, answered, why):
    def refuse(*_, **__):
        kind = getattr(errors, answered, OSError)
        raise kind.__new__(kind, "no space left on device.")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(FileNotFoundError) as caught:
        hub.folder_of("some/bert")
    assert why in str(caught.value)


def test_torch_files_are_fetched_only_where_there_is_nothing_else(monkeypatch, tmp_path):
    asked = []

    def download(name, allow_patterns):
        asked.append(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert hub.folder_of("some/bert") == tmp_path
    assert [hub.TORCH in patterns for patterns in asked] == [False, True]
    (tmp_path / "model.safetensors").touch()
    hub.folder_of("some/bert", ("*.json",))
    assert asked[2:] == [["*.json"]]
