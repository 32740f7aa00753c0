"""A program compiled for chips that are not there: memory, operations, bytes, collectives and its least time."""

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gvvad_jax.planning import flops
from gvvad_jax.planning.chips import GIB, Chip

COLLECTIVE = re.compile(r"= .*? (all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)(?:-start)?\(")
FULL = re.compile(r"(RESOURCE_EXHAUSTED|Ran out of memory|exceeded .* memory)")
USED = re.compile(r"Used ([\d.]+)G of")


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is compiled: `function` of abstract `arguments`, called `calls` times a clip.

    `trips`: of its loop, whose bytes XLA counts once; what of the bytes lies outside it, the same without the loop has.
    """

    name: str
    calls: int
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    donated: tuple[int, ...] = ()
    trips: int = 1
    steps: int = 1  # equal parts that a call does one after another, each told by itself
    without_loop: "Program | None" = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """Of one program, a chip's own: bytes of memory; operations and bytes moved are those of one of its steps."""

    name: str
    calls: int
    steps: int
    peak: float | int
    arguments: float | int
    temporaries: float | int
    operations: float
    moved: float
    collectives: Counter[str] = field(default_factory=Counter)
    estimate: float | None = None  # XLA's seconds a call, where they can be believed
    compiling: float = 0.0
    fits: bool = True

    def seconds(self, chip: Chip) -> float:
        """Of one step, at the chip's peaks: no real run is as fast."""
        return max(self.operations / chip.operations, self.moved / chip.bandwidth)


def everywhere(tree: Any, mesh: Mesh) -> Any:
    """Abstract arrays that every device of the mesh holds whole."""
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), tree)


def compile(program: Program, chip: Chip, devices: int) -> Result:
    """Compiles it; one that needs more memory than the chip has comes back with `fits` false."""
    begun = time.perf_counter()
    operations = flops.traced(program.function, *program.arguments) / devices / program.steps
    lowered = jax.jit(program.function, donate_argnums=program.donated).lower(*program.arguments)
    shared: dict[str, Any] = dict(name=program.name, calls=program.calls, steps=program.steps, operations=operations)
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if not FULL.search(str(error)):
            raise
        used = USED.search(str(error))
        peak = float(used[1]) * GIB if used else float("inf")
        nothing: dict[str, Any] = dict(arguments=0.0, temporaries=0.0, moved=0.0)
        return Result(**shared, **nothing, peak=peak, fits=False, compiling=time.perf_counter() - begun)
    memory: Any = compiled.memory_analysis()
    costs: Any = compiled.cost_analysis()
    text = compiled.as_text() or ""
    moved = float(costs.get("bytes accessed", 0))
    if program.without_loop is not None:
        outside = program.without_loop
        costs_outside: Any = jax.jit(outside.function).lower(*outside.arguments).compile().cost_analysis()
        least = costs_outside.get("bytes accessed", 0)
        moved = float(least) + program.trips * max(moved - float(least), 0)
    seconds = float(costs.get("optimal_seconds", -1))
    collectives = Counter(COLLECTIVE.findall(text))
    # With a custom call, a loop or a collective in the program, XLA's own seconds are far off, or even below 0.
    is_told = seconds > 0 and not collectives and 'custom_call_target="tpu_custom_call"' not in text
    return Result(
        **shared,
        peak=memory.peak_memory_in_bytes,
        arguments=memory.argument_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
        moved=moved,
        collectives=collectives,
        estimate=seconds if is_told and " while(" not in text else None,
        compiling=time.perf_counter() - begun,
        fits=memory.peak_memory_in_bytes <= chip.memory,
    )
