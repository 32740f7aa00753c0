"""Nothing at run time needs PyTorch, and importing the package is quick."""

import subprocess
import sys

BLOCKED = """
import importlib.machinery, pkgutil, sys
class NoTorch(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {"torch", "torchvision"} else super().find_spec(name, path, target)
sys.meta_path = [NoTorch if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
import gvvad_jax
count = 0
for module in pkgutil.walk_packages(gvvad_jax.__path__, "gvvad_jax."):
    if module.name != "gvvad_jax.video.worker":  # the worker takes over stdout when it is run
        importlib.import_module(module.name)
        count += 1
assert "torch" not in sys.modules
print(count)
"""


def test_every_module_imports_with_torch_blocked():
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 20


def test_importing_the_package_records_and_worker_does_not_import_jax():
    code = "import sys, gvvad_jax.records, gvvad_jax.datasets, gvvad_jax.video.worker; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
