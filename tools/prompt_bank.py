"""Makes LAP's prompt bank, the sentence vectors of what an anomaly may look like.

  python tools/prompt_bank.py --sentences=configs/prompts/ucf.txt --out=ucf-prompts.npz
  python tools/prompt_bank.py --npy=UCF_abnormal_text_word.npy --out=published-prompts.npz

Give it to training as --config.data.prompts. Exit status 0: it is made; 2: it could not be.
"""

from absl import flags

from gvvad_jax import program

SENTENCES = flags.DEFINE_string("sentences", None, "A text file, a prompt a line.")
NPY = flags.DEFINE_string("npy", None, "A published array of prompt vectors, [prompts, width].")
WEIGHTS = flags.DEFINE_string(
    "text_weights", None, "For --sentences: a folder or hub name (default: all-MiniLM-L6-v2)."
)
ENCODER = flags.DEFINE_string(
    "text_encoder_name",
    "sup-simcse-bert-base-uncased",
    "What made the --npy vectors (training refuses text of another); --sentences know their own.",
)
OUT = flags.DEFINE_string("out", None, "The bank that is made, a .npz.")


def main(argv: list[str]) -> int:
    """Makes the bank, prints what it holds and gives the exit status."""
    if argv[1:]:
        raise ValueError(f"{argv[1]!r} is no flag; every input has one, see --help.")
    if bool(SENTENCES.value) == bool(NPY.value):
        raise ValueError("give either --npy (published vectors) or --sentences, see --help.")
    if WEIGHTS.value and not SENTENCES.value:
        raise ValueError("--text_weights embeds --sentences; published vectors (--npy) need none.")
    if not OUT.value:
        raise ValueError("--out is missing: name the bank to make, such as bank.npz.")

    from gvvad_jax.features import prompts

    if SENTENCES.value:
        given = ENCODER.value if flags.FLAGS["text_encoder_name"].present else ""
        bank = prompts.embed(SENTENCES.value, OUT.value, WEIGHTS.value, given)
    else:
        bank = prompts.import_array(NPY.value or "", OUT.value, ENCODER.value or "")
    prompts_, width = bank.vectors.shape
    print(f"{prompts_} prompts of width {width}, sentence encoder {bank.encoder or 'unnamed'}: {OUT.value}")
    return 0


if __name__ == "__main__":
    program.run(main)
