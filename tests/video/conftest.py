import pytest

from gvvad_jax.video import decode


@pytest.fixture(scope="session")
def decoder():
    with decode.Decoder() as decoder:
        yield decoder
