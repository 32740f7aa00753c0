"""Makes the tables of facts that ship with the package from raw annotation files.

  python tools/make_facts.py --root=annotations --out=gvvad_jax/datasets/facts

--root holds the folders ucf_annotations, xd_annotations, shanghaitech_annotations, tad_annotations and ped2.
"""

from collections import Counter
from pathlib import Path

from absl import flags

from gvvad_jax import datasets, program

# The folders of --root; UBnormal has none, as its licence does not let its lists be passed on in another form.
FOLDERS = {
    "ucf": "ucf_annotations",
    "xd": "xd_annotations",
    "shanghaitech": "shanghaitech_annotations",
    "tad": "tad_annotations",
    "ped2": "ped2",
}

ROOT = flags.DEFINE_string("root", None, "Folder of annotation folders, ucf_annotations/ and so on.", required=True)
OUT = flags.DEFINE_string("out", None, "Folder to write <name>.tsv files to.", required=True)


def main(argv: list[str]) -> int:
    """Reads every folder first, so that nothing is written where one is malformed."""
    if len(argv) > 1:
        raise ValueError(f"unexpected argument '{argv[1]}'; this program has flags only")
    made = {name: datasets.make_table(name, Path(ROOT.value) / folder) for name, folder in FOLDERS.items()}
    out = Path(OUT.value)
    out.mkdir(parents=True, exist_ok=True)
    for name, table in made.items():
        path = out / f"{name}.tsv"
        path.write_bytes(table.encode())
        splits = Counter(line.split("\t")[1] for line in table.splitlines() if not line.startswith("#"))
        print(f"{path}: {splits['train']} train, {splits['test']} test, {len(table.encode()):,} bytes")
    return 0


if __name__ == "__main__":
    program.run(main)
