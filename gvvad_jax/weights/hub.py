"""Weights named by a folder, or by a name of the Hugging Face hub: downloaded once, then read from its cache."""

import re
from collections.abc import Sequence
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PATTERNS = ("*.json", "*.safetensors", "*.txt", "*.model")
TORCH = "pytorch_model.bin"  # only where a model has no safetensors: few of the old ones


def folder_of(name: str | Path, patterns: Sequence[str] = PATTERNS) -> Path:
    """A path that exists, as it is; else the snapshot of `owner/name`, of which files of `patterns` are fetched.

    HF_HOME says where downloads lie, and with HF_HUB_OFFLINE=1 only those count. FileNotFoundError: there is neither.
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    if not NAME.fullmatch(str(name)):
        raise FileNotFoundError(
            f"{name}: no such file or folder, and no name of the hub (owner/name) either; name a folder of weights."
        )
    found = _snapshot(str(name), patterns)
    if not any(found.rglob("*.safetensors")):
        found = _snapshot(str(name), (*patterns, TORCH))
    return found


def _snapshot(name: str, patterns: Sequence[str]) -> Path:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(patterns)))
    except errors.GatedRepoError:
        why = "the hub wants its terms accepted and HF_TOKEN set"
    except errors.RepositoryNotFoundError:
        why = "the hub has no such model, or hides it"
    except errors.LocalEntryNotFoundError:
        why = "it was not downloaded before, or not whole, and the hub cannot be reached"
    except (OSError, ValueError, errors.HfHubHTTPError) as error:
        why = f"it cannot be fetched from the hub ({' '.join(str(error).split())[:200].rstrip('. ')})"
    raise FileNotFoundError(
        f"{name}: there is no such folder here, and as a name of the hub, {why}; fetch the model elsewhere and name "
        "its folder."
    )
