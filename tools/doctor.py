"""What is wrong with data, weights or this machine; how two feature sets differ; what a ground truth holds.

  python tools/doctor.py
  python tools/doctor.py --set=sets/ped2
  python tools/doctor.py --compare=sets/mine,sets/published
  python tools/doctor.py --ground_truth=gt-ucf.npy --dataset=ucf --label_list=ucf-i3d-test.list
  python tools/doctor.py --dataset=ucf --root=UCF_Crimes
  python tools/doctor.py --weights=clip-vit-b16

Without flags it looks at this machine. Exit status 0: nothing wrong; 1: problems found; 2: it could not look.
"""

from pathlib import Path

from absl import flags

from gvvad_jax import program

SET = flags.DEFINE_string("set", None, "A set of records: checksums, lengths, labels, leaks between splits.")
COMPARE = flags.DEFINE_list("compare", [], "Two feature sets of the same videos, separated by a comma.")
DATASET = flags.DEFINE_string("dataset", None, "The data set of --root or of --ground_truth.")
ROOT = flags.DEFINE_string("root", None, "A folder of raw videos, with --dataset.")
TRUTH = flags.DEFINE_string("ground_truth", None, "A published ground truth: flat .npy, or .npz by name.")
LIST = flags.DEFINE_string("label_list", None, "The order of the videos in a flat ground truth.")
WEIGHTS = flags.DEFINE_string("weights", None, "A folder of published weights, or a name of the Hugging Face hub.")


def main(argv: list[str]) -> int:
    """Prints every finding and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    if COMPARE.value and len(COMPARE.value) != 2:
        raise ValueError(f"--compare names {len(COMPARE.value)} sets; it takes two, separated by a comma.")
    if ROOT.value and not DATASET.value:
        raise ValueError("--root is given without --dataset; name the data set that lies there.")
    if DATASET.value and not (ROOT.value or TRUTH.value):
        raise ValueError("--dataset is given without --root or --ground_truth; say what to look at.")

    from gvvad_jax.doctor import comparison, machine, sets, truth, weights
    from gvvad_jax.doctor.finding import status
    from gvvad_jax.weights import hub

    looked = []
    if SET.value:
        looked.append(sets.inspect(_there(SET.value)))
    if COMPARE.value:
        looked.append(comparison.compare(*map(_there, COMPARE.value)))
    if ROOT.value:
        looked.append(sets.inspect_dataset(DATASET.value or "", _there(ROOT.value)))
    if TRUTH.value:
        looked.append(truth.explain(_there(TRUTH.value), DATASET.value, Path(LIST.value) if LIST.value else None))
    if WEIGHTS.value:
        looked.append(weights.inspect(hub.folder_of(WEIGHTS.value)))
    findings = []
    for finding in (finding for findings in looked or [machine.inspect()] for finding in findings):
        print(finding, flush=True)
        findings.append(finding)
    problems = sum(finding.problem for finding in findings)
    print(f"{problems} problem{'' if problems == 1 else 's'} found" if problems else "nothing wrong")
    return status(findings)


def _there(name: str) -> Path:
    if not Path(name).exists():
        raise FileNotFoundError(f"{name}: no such file or folder.")
    return Path(name)


if __name__ == "__main__":
    program.run(main)
