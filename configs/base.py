"""Every key of a run once, with its unit or meaning; the other files in this folder change some.

    python -m gvvad_jax.main --config=configs/base.py --workdir=W --config.data.features=SET

The values are GV-VAD's: RTFM as its paper trains it, λ = 0.5, 1,000 steps of 32 pairs.
"""

from typing import Any

from ml_collections import config_dict


def arguments(arg: str | None, **defaults: str) -> dict[str, str]:
    """`name=value,…` after a config file's colon, over its defaults; an unknown name: ValueError that lists them."""
    given = dict(defaults)
    for part in filter(None, (arg or "").split(",")):
        name, found, value = part.partition("=")
        if not found or name not in defaults:
            raise ValueError(
                f"config argument {part!r} is not one of {', '.join(f'{k}=…' for k in defaults) or 'none'}."
            )
        given[name] = value
    return given


def get_config(arg: str | None = None) -> Any:
    """RTFM as GV-VAD's paper trains it; takes no arguments."""
    from configs import filter as filters  # here: that file takes `arguments` from this one

    arguments(arg)
    c: Any = config_dict.ConfigDict()
    c.mode = "train"  # train (then evaluates and writes the bundle) | evaluate (W/eval/<dataset>/) | pipeline
    c.seed = 0  # of weights and dropout
    c.data_seed = 0  # of the order of videos, of fraction and of the held-out videos
    c.seeds = 1  # how many runs: seed, seed + 1, …, each in W/seed-K
    c.init = ""  # a bundle or a released checkpoint (.pkl) to start from; empty: fresh weights

    c.data = data = config_dict.ConfigDict()
    data.features = ""  # a feature set, or several separated by commas (real ∪ synthetic)
    data.text = ""  # the same with sentence vectors
    data.text_source = "caption"  # of generated training clips: caption | description (tells their label)
    data.prompts = ""  # a prompt bank (.npz)
    data.selection = ""  # a .jsonl file: which training videos to keep
    data.test = ""  # a feature set; empty: the records of split test in data.features
    data.validation = 0.0  # share of each class's real training videos held out (0: none)
    data.segments = config_dict.placeholder(int)  # a video; None: 32 for official RTFM and TEVAD, else 64
    data.sampler = "paired"  # paired (normal and anomalous stream) | shuffled | normal_only
    data.short = "repeat"  # videos of fewer snippets than segments: repeat | mask
    data.synthetic = "both"  # whose generated videos are used: both | anomalous | normal
    data.synthetic_share = config_dict.placeholder(float)  # fixed share of each half's batch; None: as the data has it
    data.fraction = 1.0  # share of each class's real training videos that is used
    data.drop_last = False  # leave out what does not fill a pass's last batch, as published

    c.detector = "rtfm"
    c.variant = config_dict.placeholder(str)  # paper | official | gvvad …; None: the detector's first

    # What differs from the variant; None: the variant's own. Each detector's file says what its switches mean.
    c.switches = switches = config_dict.ConfigDict()
    switches.top_k_by = config_dict.placeholder(str)  # score | dropped_magnitude
    switches.k = config_dict.placeholder(int)  # segments that stand for a video
    switches.fusion = config_dict.placeholder(str)  # of vision and text: concat | add | product | add_up
    switches.multi_prompt_by = config_dict.placeholder(str)  # set_means | rank_paired_triplets
    switches.mpl_weight_twice = config_dict.placeholder(bool)  # γ² in place of γ, as released
    switches.inverted_pal = config_dict.placeholder(bool)  # pseudo-anomaly loss of 1 - score, as released
    switches.margin = config_dict.placeholder(float)  # of feature magnitudes
    switches.regularised = config_dict.placeholder(str)  # video | reshape_2048x2
    switches.dropout = config_dict.placeholder(float)  # share set to zero
    switches.crop_aggregation = config_dict.placeholder(str)  # mean | max
    switches.root = config_dict.placeholder(bool)  # signed square root of wide input blocks
    switches.components = config_dict.placeholder(int)  # principal components of wide input blocks; 0: all columns
    switches.normalise = config_dict.placeholder(str)  # none | standardise (on normal training videos)
    switches.clip = config_dict.placeholder(float)  # of the normalised input, in standard deviations; 0: none
    switches.noise = config_dict.placeholder(float)  # on the input in training, in standard deviations
    switches.smooth = config_dict.placeholder(int)  # snippets of the moving average over scores; 1: none
    switches.causal = config_dict.placeholder(bool)  # that average looks back alone

    c.losses = losses = config_dict.ConfigDict()  # coefficients; None: the variant's own
    losses.classification = config_dict.placeholder(float)
    losses.magnitude = config_dict.placeholder(float)
    losses.smoothness = config_dict.placeholder(float)
    losses.sparsity = config_dict.placeholder(float)
    losses.pseudo_anomaly = config_dict.placeholder(float)
    losses.multi_prompt = config_dict.placeholder(float)

    c.ssls = ssls = config_dict.ConfigDict()  # synthetic sample loss scaling
    ssls.mode = config_dict.placeholder(str)  # per_sample | official_batch_scalar | off; None: the variant's own
    ssls.weight = 0.5  # λ, 0 or more; where it is learnt, its start
    # Multiplies λ: cosine (warm-up over the first tenth of the steps, then to 0) | official_cosine | official_step.
    ssls.schedule = config_dict.placeholder(str)
    ssls.learnable = config_dict.placeholder(str)  # λ is learnt: plain (released program) | bounded (0 to 2); None: no
    ssls.reduction = "mean"  # mean | sum (number of videos times the mean: with Adam + L2, that much less decay)

    c.optimizer = optimizer = config_dict.ConfigDict()  # Adam
    optimizer.learning_rate = 1e-3
    optimizer.weight_decay = 5e-3  # L2 in the gradient, before the moments

    c.steps = 1000  # batches
    c.batch = 32  # pairs (paired), else videos

    c.eval = evaluation = config_dict.ConfigDict()
    evaluation.every = 50  # steps between evaluations for the rules that choose; 0: after the last step alone
    evaluation.tail = "exact"  # frames of a video: exact | floor (16 ⌊F/16⌋) | ceil (16 T)
    evaluation.labels = ""  # published ground truth instead of the records' intervals (.npz by name, or flat .npy)
    evaluation.label_list = ""  # the list of videos that a flat .npy follows
    evaluation.label_padding = "zero"  # where such labels are shorter than the scores: zero | last

    c.checkpoint = checkpoint = config_dict.ConfigDict()
    checkpoint.every = 100  # steps; 0: after the last step alone
    checkpoint.rule = "last"  # the headline's: last | validation | best_on_test

    c.pipeline = pipeline = config_dict.ConfigDict()  # of mode=pipeline alone
    pipeline.descriptions = ""  # a table of id, pair_id, label, text (.jsonl) that is there; empty: they are made
    pipeline.describer = "template"  # template (free, no network) | openai (a language model)
    pipeline.model = "gpt-4o"  # of describer=openai
    pipeline.base_url = config_dict.placeholder(str)  # of another service; None: OPENAI_BASE_URL, else OpenAI's
    pipeline.pairs = 300  # of descriptions: as many anomalous clips and as many normal ones are generated
    pipeline.generator = "scenes"  # scenes (drawn, no weights) | cogvideox | folder (clips of another service)
    pipeline.clips = ""  # of generator=folder: where the clips lie, <description id>.<ending>
    pipeline.cogvideox = cogvideox = config_dict.ConfigDict()  # of generator=cogvideox; None: as tools/generate.py
    cogvideox.weights = ""  # folder or hub name
    cogvideox.frames = config_dict.placeholder(int)  # 8n + 1
    cogvideox.height = config_dict.placeholder(int)  # pixels
    cogvideox.width = config_dict.placeholder(int)
    cogvideox.steps = config_dict.placeholder(int)
    cogvideox.guidance = config_dict.placeholder(float)  # 1: none
    cogvideox.dynamic_guidance = config_dict.placeholder(str)  # off | published | ramp
    cogvideox.scheduler = config_dict.placeholder(str)  # ddim | dpm
    cogvideox.negative = config_dict.placeholder(str)  # a prompt
    cogvideox.dtype = config_dict.placeholder(str)  # float32 | bfloat16
    cogvideox.tiled = False  # decode in tiles: less memory, other pictures
    pipeline.frames = 160  # of a drawn clip
    pipeline.dataset = "scenes"  # real videos under pipeline.root: ucf | xd | … | folder; scenes: drawn, too
    pipeline.root = ""  # or data.features (and data.text) names sets of real videos that are there
    pipeline.real = 10  # of dataset=scenes: training videos of each class
    pipeline.test = 10  # of dataset=scenes: test videos of each class
    # For detectors that read text; drawn videos carry theirs.
    pipeline.captions = ""  # a caption file (.jsonl), or
    pipeline.caption_weights = ""  # GIT's folder or hub name, which writes them
    pipeline.encoder = "efficientnet_lite0"
    pipeline.weights = ""  # folder or hub name of the encoder's, where it needs one
    pipeline.text_weights = ""  # folder or hub name of a sentence encoder's; empty: all-MiniLM-L6-v2
    pipeline.crops = "centre"  # centre | five | ten | tiles
    pipeline.tiles = (5, 3)  # columns, rows, of crops=tiles
    pipeline.motion = ()  # blocks after the encoder's: differences, flow, image
    pipeline.frames_per_snippet = 1  # encoded of each 16
    pipeline.filter = True  # False: every generated clip is used
    pipeline.filter_weights = ""  # CLIP's folder or hub name: clips are compared with their descriptions
    c.filter = filters.get_config().filter  # of mode=pipeline and tools/filter.py: configs/filter.py
    return c
