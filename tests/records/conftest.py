"""The set that most tests of this room start from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.records import samples


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Makes a finished set of features: v00, v01, …, labels 0 and 1 in turn."""

    def make(name: str = "set", count: int = 12, shards: int = 3, **fields: Any) -> Path:
        items = [samples.feature(f"v{i:02d}", snippets=2 + i, label=i % 2, **fields) for i in range(count)]
        return samples.write(tmp_path / name, "feature", items, shards=shards)

    return make
