"""Several processes of one run, often on several hosts: how they are started, and one set that they write together.

Process 0 opens the set and packs it; the others put their records beside it, on a file system that all of them see.
"""

import atexit
import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from absl import flags

from gvvad_jax import records

KEYS = "gvvad_jax"  # in the store that the run's processes share
POLL_MILLISECONDS = 1000
Item = TypeVar("Item")
_numbers = itertools.count()  # of exchanges, which every process makes in the same order


def define_flags() -> None:
    """The flags that name the processes; importing this module defines none."""
    flags.DEFINE_string("coordinator", "", "Address of process 0 (host:port), where the run has several processes.")
    flags.DEFINE_integer("num_processes", 0, "How many processes the run has.")
    flags.DEFINE_integer("process_id", -1, "The number of this process, from 0.")
    flags.DEFINE_bool("distributed", False, "Several processes whose number and addresses the cluster says.")


def start_by_flags() -> None:
    """Joins the other processes as the flags say, before the first use of a device."""
    given = flags.FLAGS
    process_id = given.process_id if given.process_id >= 0 else None
    start(given.coordinator or None, given.num_processes or None, process_id, given.distributed)


def start(coordinator: str | None, num_processes: int | None, process_id: int | None, automatic: bool) -> None:
    """Joins the other processes; all three of their names, or `automatic` alone, or nothing: else ValueError."""
    named = [value is not None for value in (coordinator, num_processes, process_id)]
    if any(named) and (automatic or not all(named)):
        raise ValueError("give --coordinator, --num_processes and --process_id together, or --distributed alone.")
    if automatic or all(named):
        import jax

        jax.distributed.initialize(coordinator, num_processes=num_processes, process_id=process_id)
        jax.local_devices()  # at once: whoever asks first later would wait for a process that has ended by then
        atexit.register(_say_ended, _store(), jax.process_index())


def _say_ended(store: Any, index: int) -> None:
    """Lets those who wait for this process know, before JAX makes it wait for them."""
    import jax

    with contextlib.suppress(jax.errors.JaxRuntimeError):  # the store has ended with process 0
        store.key_value_set(f"{KEYS}/ended/{index}", "")


def _store() -> Any:
    """The key-value store of the JAX run."""
    from orbax.checkpoint import multihost

    return multihost.get_jax_distributed_client()


@dataclasses.dataclass(frozen=True)
class Share:
    """Process `index` of the `count` that do a work together; the default does it alone."""

    index: int = 0
    count: int = 1

    @classmethod
    def of_run(cls) -> "Share":
        """This process among all of the JAX run."""
        import jax

        return cls(jax.process_index(), jax.process_count())

    def open(self, path: Path, kind: str, shards: int, options: Mapping[str, Any]) -> records.Writer | records.Helper:
        """The set's writer in process 0, a helper of it elsewhere; a failure of one ends all."""
        opened = self._together(lambda: None if self.index else records.writer(path, kind, shards, options))
        try:
            helper = self._together(lambda: records.Helper(path, kind, options) if self.index else None)
        except ValueError as error:
            if opened is not None:
                opened.__exit__(type(error), error, None)
            raise
        found = opened if helper is None else helper
        assert found is not None
        return found

    def of(self, items: Sequence[Item], index: int | None = None) -> Sequence[Item]:
        """Every count-th of the items is this process's (or that of process `index`)."""
        return items[self.index if index is None else index :: self.count]

    def join(self, writer: records.Writer | records.Helper, ids: Sequence[str], part: Mapping[str, Any]) -> list[Any]:
        """Waits until all processes have done their share of `ids`; process 0 takes their records into the set.

        `part` says in JSON what this process did, under `failed` the ids that it made no record of. Process 0 gets the
        parts of all, the others their own.
        """
        if isinstance(writer, records.Helper):
            writer.end(self.index, part)
            self.wait()
            return [part]
        self.wait()
        parts = [part]
        for index in range(1, self.count):
            theirs = writer.part(index)
            parts.append(theirs)
            for id in self.of(ids, index):
                if id not in theirs["failed"]:
                    writer.take(id)
        return parts

    def wait(self) -> None:
        """Until every process is here."""
        self._exchange("")

    def _exchange(self, word: str) -> list[str]:
        """The words of all processes, in the order of their numbers, once all have said theirs."""
        if self.count == 1:
            return [word]
        # Not multihost_utils: its collectives give up on a wait of minutes.
        place, store = f"{KEYS}/{next(_numbers)}", _store()
        store.key_value_set(f"{place}/{self.index}", word)
        return [self._get(store, f"{place}/{index}", index) for index in range(self.count)]

    def _get(self, store: Any, key: str, index: int) -> str:
        """The value of a key that process `index` sets; OSError where that one ended without."""
        import jax

        has_ended = False
        while True:
            try:
                return store.blocking_key_value_get(key, POLL_MILLISECONDS)
            except jax.errors.JaxRuntimeError as error:
                if has_ended or "DEADLINE_EXCEEDED" not in str(error):
                    raise OSError(
                        f"process {index} of {self.count} has ended early and its own message says why; run the same "
                        "command on all again, it goes on."
                    ) from None
            has_ended = any(name == f"{KEYS}/ended/{index}" for name, _ in store.key_value_dir_get(f"{KEYS}/ended/"))

    def _together(self, what: Callable[[], Item]) -> Item:
        """What `what` gives, called in every process at once; where it fails in one, all end."""
        found, error = None, None
        try:
            found = what()
        except (ValueError, OSError) as caught:
            error = caught
        failed = [index for index, word in enumerate(self._exchange("failed" if error else "")) if word]
        if failed and error is None:
            raise ValueError(f"process {failed[0]} of {self.count} could not begin; its own message says why.")
        if error is not None:
            raise error
        return cast(Item, found)
