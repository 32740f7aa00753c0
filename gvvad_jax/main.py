"""python -m gvvad_jax.main --config=configs/ped2.py --workdir=W [--config.data.features=SET …]

Trains a detector, evaluates it, writes W/bundle/; run again on the same W it goes on. `run` is the one function behind
the command, notebooks and sweeps.
"""

import sys
from pathlib import Path
from typing import Any

import jax
from absl import flags

from gvvad_jax import hosts, program
from gvvad_jax.features import encoders
from gvvad_jax.training import loop, mesh, runs, settings


def run(config: Any, workdir: str | Path) -> dict[str, Any]:
    """Do what `config.mode` says, in W; gives what summary.json holds.

    A mistake in the config or the data is a ValueError or OSError before anything is written. A NaN raises
    loop.NotFinite, SIGTERM loop.Stopped; both leave checkpoints to go on from.
    """
    match config.mode:
        case "train":
            return runs.train_seeds(config, Path(workdir))
        case "evaluate":
            return runs.evaluate(config, Path(workdir))
        case "pipeline":
            from gvvad_jax import pipeline  # the other modes need none of its rooms

            return pipeline.run(config, Path(workdir))
    raise ValueError(f"mode is {config.mode!r}; choose one of train, evaluate, pipeline.")


def main(argv: list[str]) -> int:
    """The command: devices and processes first, then `run`, then the figures as last lines."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; every setting is written --config.NAME=VALUE.")
    if flags.FLAGS.dry_run:
        if flags.FLAGS.config.mode != "pipeline":
            raise ValueError("--dry_run prints the plan of mode=pipeline; leave it out.")
        from gvvad_jax import pipeline

        config, folder = flags.FLAGS.config, Path(flags.FLAGS.workdir)
        print("\n".join(pipeline.show(pipeline.plan(config, folder))))
        return 0
    if flags.FLAGS.config.mode == "pipeline":
        encoders.use_all_cores()  # extraction wants them all; --devices may still say otherwise
    mesh.start(
        flags.FLAGS.devices or None,
        flags.FLAGS.coordinator or None,
        flags.FLAGS.num_processes or None,
        flags.FLAGS.process_id if flags.FLAGS.process_id >= 0 else None,
        flags.FLAGS.distributed,
    )
    try:
        found = run(flags.FLAGS.config, flags.FLAGS.workdir)
    except loop.NotFinite as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except loop.Stopped as error:
        print(error, file=sys.stderr)
        return 143  # what a shell gives for SIGTERM
    if jax.process_index() == 0:
        for line in settings.lines(found):
            print(line)
    return int(bool((found.get("chain") or {}).get("notes")))  # 1: some videos of the chain failed


class ConfigFile(flags.ArgumentParser):
    """Refuses a config file in one sentence; ml_collections tells how it looked for it, or shows a traceback."""

    def __init__(self, loader: flags.ArgumentParser):
        self.loader = loader

    def parse(self, argument: str) -> Any:
        """The config of `FILE[:name=value,…]`."""
        name = argument.partition(":")[0]
        if not Path(name).is_file():
            raise FileNotFoundError(f"--config={argument}: there is no file {name!r}; configs/ holds those that are.")
        try:
            return self.loader.parse(argument)
        except (TypeError, ValueError) as error:  # with get_config's traceback as text
            raise ValueError(str(error.__context__ or error)) from None
        except (SyntaxError, ImportError, NameError, AttributeError) as error:
            raise ValueError(
                f"{type(error).__name__}: {error}; a config is a Python file with get_config, used beside configs/."
            ) from None

    def flag_type(self) -> str:
        """What the flag's help calls its value."""
        return "file"


def define_flags() -> None:
    """The command's flags; importing this module defines none, as tools and notebooks have their own."""
    from ml_collections import config_flags

    config_flags.DEFINE_config_file(
        "config", None, "A file of configs/; its keys: --config.NAME=VALUE.", lock_config=True
    )
    flags.FLAGS["config"].parser = ConfigFile(flags.FLAGS["config"].parser)
    flags.DEFINE_string("workdir", None, "Where the run is written; a run that is there goes on.")
    flags.DEFINE_bool("dry_run", False, "mode=pipeline: print the plan and what it would cost, and make nothing.")
    flags.DEFINE_integer("devices", 0, "On a CPU: how many devices to lay the run over; 0: one.")
    hosts.define_flags()
    flags.mark_flags_as_required(["config", "workdir"])


if __name__ == "__main__":
    define_flags()
    program.run(main)
