"""What a slice of TPUs would need for a stage, compiled on a machine that has none."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from gvvad_jax.models.cogvideox import layout, sizes
from gvvad_jax.planning import chips, clip, cogvideox, programs, report


@dataclass(frozen=True)
class Plan:
    """Its text, and whether every program fits."""

    text: str
    fits: bool

    @property
    def status(self) -> int:
        """The program's: 1 where something does not fit."""
        return int(not self.fits)

    def __str__(self) -> str:
        return self.text


def generate(
    model: str, topology: str, size: tuple[int | None, int | None, int | None], steps: int, guidance: bool
) -> Plan:
    """One clip of CogVideoX of this size (frames, height, width; None: native) on a slice, stage after stage."""
    if model not in cogvideox.FORMS:
        raise ValueError(f"no model of this stage is called {model!r}; use one of {', '.join(cogvideox.FORMS)}.")
    form, branches = cogvideox.FORMS[model], 2 if guidance else 1
    frames, height, width = size
    shape = sizes.of(form.transformer, cogvideox.VAE.shrink, frames, height or form.height, width or form.width)
    chip, devices = chips.devices(topology)
    mesh = layout.mesh_of(devices, branches)
    results = _compiled(cogvideox.programs(form, mesh, shape, steps, branches), chip, len(devices))
    what = f"CogVideoX {model}, {shape.frames} frames of {shape.width}x{shape.height}, {steps} steps, {topology}"
    counted = cogvideox.analytic(form.transformer, cogvideox.tokens(form.transformer, shape), branches) / len(devices)
    found = next(r.operations for r in results if r.name == cogvideox.STEP)
    said = [f"{what}: {len(devices)} chips, {' x '.join(map(str, mesh.devices.shape))} ({' x '.join(mesh.axis_names)})"]
    said += [report.table(results, chip), f"a step has {found / counted:.3f} of the operations counted by hand"]
    seconds = report.total(results, chip)
    said.append(f"{seconds:.0f} s a clip if every program ran at the chips' peaks, which none does.")
    return _plan(said, results, chip)


def extract(model: str, topology: str, batch: int) -> Plan:
    """A batch of images through an encoder, split over a slice."""
    if model not in clip.SIZES:
        raise ValueError(f"no model of this stage is called {model!r}; use one of {', '.join(clip.SIZES)}.")
    chip, devices = chips.devices(topology)
    if batch % len(devices):
        raise ValueError(f"a batch of {batch} does not divide over {len(devices)} chips; change it.")
    results = _compiled([clip.program(model, layout.mesh_of(devices, 1), batch)], chip, len(devices))
    seconds = report.total(results, chip)
    rate = f"{batch / seconds:,.0f} images a second if it ran at the chips' peaks, which no program does."
    return _plan(
        [f"{model} in bfloat16, {topology}: {len(devices)} chips", report.table(results, chip), rate], results, chip
    )


def _compiled(found: Sequence[programs.Program], chip: chips.Chip, devices: int) -> list[programs.Result]:
    results = []
    for one in found:
        print(f"compiling: {one.name} …", file=sys.stderr)
        results.append(programs.compile(one, chip, devices))
    return results


def _plan(said: list[str], results: Sequence[programs.Result], chip: chips.Chip) -> Plan:
    lacking = [r.name for r in results if not r.fits]
    room = f"{chip.memory / chips.GIB:.2f} GiB of a chip"
    said.append(
        f"does not fit into the {room}: {', '.join(lacking)}" if lacking else f"every program fits into the {room}"
    )
    return Plan("\n".join(said), not lacking)
