"""What the training step compiles to: operations in the jaxpr, collectives in the text for 8 devices.

    python -m tests.training.summarise_step > tests/training/step_summary.json

Run it again when the step is meant to change, and read the difference.
"""

import collections
import json
import re

import jax

COLLECTIVES = re.compile(r"= .*? (all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)(?:-start)?\(")
PAIRS, CROPS, SEGMENTS, WIDTH = 8, 2, 8, 16


def operations(jaxpr) -> collections.Counter:
    """How often each primitive stands in a jaxpr and those inside it."""
    found = collections.Counter()
    for equation in jaxpr.eqns:
        found[equation.primitive.name] += 1
        for value in equation.params.values():
            for item in value if isinstance(value, tuple | list) else [value]:
                inner = getattr(item, "jaxpr", item)
                if hasattr(inner, "eqns"):
                    found += operations(inner)
    return found


def summarise(name: str, **switches) -> dict:
    """Both counts for one detector."""
    from gvvad_jax import detectors
    from gvvad_jax.training import mesh as meshes
    from gvvad_jax.training import state as states
    from gvvad_jax.training import step as steps
    from tests.training import toys

    detector = detectors.create(name, detectors.Inputs(WIDTH), **switches)
    structure, state = states.create(detector, synthetic_weight=0.5, learning_rate=1e-3, weight_decay=5e-3)
    batch = toys.batch(PAIRS, CROPS, SEGMENTS, WIDTH)
    mesh = meshes.make(PAIRS)
    jaxpr = jax.make_jaxpr(steps.pure(structure, "per_sample"))(state, batch, jax.random.key(0))
    step = steps.compiled(structure, mesh, "per_sample")
    text = step.lower(meshes.replicate(state, mesh), batch, meshes.key(0, mesh)).compile().as_text()
    return {
        "operations": dict(sorted(operations(jaxpr.jaxpr).items())),
        "collectives": dict(sorted(collections.Counter(COLLECTIVES.findall(text)).items())),
    }


def main() -> None:
    """Print the summary of each detector."""
    jax.config.update("jax_num_cpu_devices", 8)
    found = {"jax": jax.__version__, "rtfm": summarise("rtfm"), "linear": summarise("linear")}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
