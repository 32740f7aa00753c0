"""A scored test set as pictures and as the report page: headline, rules, baselines, classes, the costliest videos."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from gvvad_jax import datasets
from gvvad_jax.evaluation import frame_metrics
from gvvad_jax.evaluation import summary as summaries
from gvvad_jax.evaluation.summary import RULE_NAMES, show
from gvvad_jax.evaluation.videos import TestVideo
from gvvad_jax.reports import page, plots
from gvvad_jax.reports.page import Bar, Curve, Figure, Link, Page, Table

WORST = 10
COMPARED = 20
ROW_NAMES = {
    "last": "last checkpoint",
    "validation": "best on held-out videos",
    "best_on_test": "best on the test set",
    "given": "published ground truth",
    "annotation": "this package's annotation",
}
BASELINE_NAMES = {
    "frame_difference": "frame difference (99.9th percentile)",
    "tile_difference": "largest tile's difference (95th percentile)",
    "flow_speed": "optical-flow speed",
    "zero_shot": "CLIP's zero-shot probability of an anomaly",
    "video_label": "the video's own label as its score",
    "time_position": "place in the video (frame / frames)",
}


def write(
    folder: Path, videos: Sequence[TestVideo], figures: Mapping[str, Any] | None, summary: Mapping[str, Any]
) -> None:
    """Writes curves/, roc.png and report.html into `folder`; the page plays what lies there as clips/<id>.mp4."""
    pictures = _pictures(videos)
    clips = {video.id: clip for video in videos if (clip := _clip(folder, video.id))}
    (folder / "curves").mkdir(parents=True, exist_ok=True)
    for stale in (folder / "curves").glob("*.png"):
        if f"curves/{stale.name}" not in pictures.values():
            stale.unlink()
    drawer = plots.Curves()
    for video in videos:
        title = f"{video.id}   {video.category}" if video.category else video.id
        drawer.draw(folder / pictures[video.id], video.scores, intervals(video), title, video.fps)
    lines = _roc(videos)
    if lines:
        plots.roc(folder / "roc.png", lines)
    else:
        (folder / "roc.png").unlink(missing_ok=True)
    page.write(folder / "report.html", build(videos, figures, summary, pictures, lines, clips))


def intervals(video: TestVideo) -> tuple[tuple[int, int], ...]:
    """The anomalous stretches of a video's labels."""
    return () if video.labels is None else datasets.intervals_from_labels(video.labels)


def build(
    videos: Sequence[TestVideo],
    figures: Mapping[str, Any] | None,
    summary: Mapping[str, Any],
    pictures: Mapping[str, str],
    lines: Mapping[str, Any],
    clips: Mapping[str, str] | None = None,
) -> Page:
    """The page's contents; `clips`: where a video's own file lies, by id."""
    clips = clips or {}
    costs = video_costs(videos)
    ordered = sorted(videos, key=lambda v: (-costs.get(v.id, -1.0), v.id))
    anchors = {video.id: f"video-{number}" for number, video in enumerate(ordered)}
    of = f"{_detector(summary) or 'Scores'} on"
    rule = RULE_NAMES.get(summary["rule"], summary["rule"])
    parts = [
        f"headline: {rule}",
        f"variant {summary['variant']}" if summary.get("variant") else "",
        f"trained on {summary['trained_on']}" if summary.get("trained_on") else "",
        f"step {summary['step']:,}" if isinstance(summary.get("step"), int) else "",
        f"seed {summary['seed']}" if summary.get("seed") is not None else "",
        f"{len(videos)} test videos, {sum(len(v.scores) for v in videos):,} frames",
    ]
    return Page(
        title=f"{of} {summary['dataset']}",
        subtitle=" · ".join(part for part in parts if part),
        figures=_figures(videos, figures),
        tables=[
            table
            for table in (
                _rules(summary),
                _comparison(summary, anchors),
                _baselines(summary, figures),
                _classes(figures),
                _worst(ordered, costs, anchors),
            )
            if table.rows
        ],
        roc=lines,
        curves=[
            _curve(video, costs.get(video.id), anchors[video.id], pictures[video.id], clips.get(video.id, ""))
            for video in ordered
        ],
        curves_text="Score over frames, y from 0 to 1; annotated anomalous frames are shaded. The costliest video is "
        "first; point at a curve to read frame and score."
        + (" Play a clip and the mark follows; click its curve to jump to a moment." if clips else ""),
        notes=summary.get("notes", ()),
        details=_details(summary),
    )


def video_costs(videos: Sequence[TestVideo]) -> dict[str, float]:
    """What each labelled video costs the AUC, by id; see frame_metrics.costs."""
    labelled = [video for video in videos if video.labels is not None and len(video.labels)]
    joined = frame_metrics.runs([v.scores for v in labelled], [v.labels for v in labelled])  # pyright: ignore
    costs = frame_metrics.costs(joined, len(labelled))
    return {video.id: float(cost) for video, cost in zip(labelled, costs, strict=True)}


def _pictures(videos: Sequence[TestVideo]) -> dict[str, str]:
    """A file name for every video: its id, with what no file name or address may hold replaced."""
    taken: dict[str, str] = {}
    for video in videos:
        name = re.sub(r"[^\w.\-+=@()]", "_", video.id).lstrip(".")[:180] or "video"
        while f"curves/{name}.png" in taken.values():
            name += "_"
        taken[video.id] = f"curves/{name}.png"
    return taken


def _clip(folder: Path, id: str) -> str:
    """Where a video's clip lies, seen from `folder`: in its clips/, or in that of the run of which it is one seed."""
    name = f"clips/{id}.mp4"
    if (folder / name).is_file():
        return name
    return f"../{name}" if folder.name.startswith("seed-") and (folder.parent / name).is_file() else ""


def _roc(videos: Sequence[TestVideo]) -> dict[str, np.ndarray]:
    labelled = [video for video in videos if video.labels is not None and len(video.labels)]
    lines = {}
    for name, chosen in (("all videos", labelled), ("anomalous videos only", [v for v in labelled if v.is_anomalous])):
        joined = frame_metrics.runs([v.scores for v in chosen], [v.labels for v in chosen])  # pyright: ignore
        points = frame_metrics.roc(joined)
        if points is not None:
            lines[f"{name}, AUC {show(frame_metrics.auc(joined))}"] = points
    return lines


def _figures(videos: Sequence[TestVideo], figures: Mapping[str, Any] | None) -> list[Figure]:
    if not figures:
        return [Figure("frame AUC", "-", "no test video has frame labels")]
    interval = figures.get("interval") or {}
    labels = [video.labels for video in videos if video.labels is not None]
    share = sum(int(x.sum()) for x in labels) / sum(len(x) for x in labels)

    def bounds(name: str) -> str:
        pair = interval.get(name)
        return f"{pair[0]:.3f} to {pair[1]:.3f}, 95 % over videos" if pair else ""

    return [
        Figure("frame AUC", show(figures["auc"]), bounds("auc")),
        Figure("anomalous videos only", show(figures["auc_anomalous"]), bounds("auc_anomalous")),
        Figure("average precision", show(figures["ap"]), f"random scores: {share:.3f}, the share of anomalous frames"),
        Figure("false alarms at 0.5", _percent(figures["far_normal"]), "frames of normal videos scored above 0.5"),
    ]


def _rules(summary: Mapping[str, Any]) -> Table:
    """One row a checkpoint rule, or one a ground truth where scores were given; none where there is one row."""
    names = list(summary["metrics"])
    rows = []
    for name in names if len(names) > 1 else ():
        figures = summary["metrics"][name]
        if not figures:
            rows.append([ROW_NAMES.get(name, name), "not available", *[""] * 4])
            continue
        keys = ("auc", "auc_anomalous", "ap", "ap_trapezoid")
        rows.append(
            [ROW_NAMES.get(name, name), *(show(figures.get(key)) for key in keys), _percent(figures.get("far_normal"))]
        )
    checkpoints = "given" not in names
    return Table(
        "Which checkpoint" if checkpoints else "Which labels",
        ("rule" if checkpoints else "labels", "frame AUC", "anomalous only", "AP", "AP, trapezoid", "false alarms"),
        rows,
        "The same run under three rules; compare only numbers chosen by the same one. The best on the test set is "
        "optimistic, and what published tables often give."
        if checkpoints
        else "The same scores under two ground truths; published figures belong to the published one.",
        strong=[names.index(summary["rule"])] if summary["rule"] in names else (),
    )


def _comparison(summary: Mapping[str, Any], anchors: Mapping[str, str]) -> Table:
    """What another set of scores does on the same videos."""
    found = summary.get("compare") or {}
    shown = [row for row in found.get("videos", []) if row["difference"]][:COMPARED]
    if not shown:
        return Table("Beside other scores", (), ())
    name, other = found["names"]
    bounds = found["interval_of_difference"]["auc"]
    span = f", difference {bounds[0]:+.4f} to {bounds[1]:+.4f} (95 % over videos)" if bounds else ""
    total = ["all videos together", "", show(found["auc"][0]), show(found["auc"][1]), "", ""]
    rows: list[list[Any]] = [total]
    for row in shown:
        target = anchors.get(row["id"])
        rows.append(
            [
                Link(row["id"], f"#{target}") if target else row["id"],
                row["category"],
                *(show(value) for value in row["auc"]),
                f"{row['mean'][0]:.2f} / {row['mean'][1]:.2f}",
                f"{row['difference']:+.4f}",
            ]
        )
    return Table(
        "Beside other scores",
        ("video", "class", f"own AUC, {name}", f"own AUC, {other}", "mean scores", "gain"),
        rows,
        f"{name}: frame AUC {show(found['auc'][0])}; {other}: {show(found['auc'][1])}{span}. A video's gain is what "
        f"{name} saves of the area above the ROC curve there; all rows are in summary.json.",
        strong=[0],
    )


def _baselines(summary: Mapping[str, Any], figures: Mapping[str, Any] | None) -> Table:
    rows: list[list[Any]] = []
    for name, found in (summary.get("baselines") or {}).items():
        label = BASELINE_NAMES.get(name, name.replace("_", " "))
        if not found:
            rows.append([label, "not stored", ""])
        else:
            rows.append([label, _bar(found["auc"]), _bar(found["auc_anomalous"])])
    if rows and figures:
        own = _detector(summary) or "these scores"
        rows.insert(0, [own, _bar(figures["auc"]), _bar(figures["auc_anomalous"])])
        if summary.get("real_only"):
            less = summary["real_only"]
            rows.insert(1, [f"{own} without generated clips", _bar(less["auc"]), _bar(less["auc_anomalous"])])
    return Table(
        "What learning adds",
        ("score", "frame AUC", "anomalous only"),
        rows,
        "Scores that nobody trained, on the same frames and labels.",
        strong=[0] if figures else (),
    )


def _detector(summary: Mapping[str, Any]) -> str:
    """The detector as the field writes it: an acronym in capitals, a word as a word."""
    name = summary.get("detector") or ""
    return name.upper() if len(name) <= 5 else name.capitalize()


def _classes(figures: Mapping[str, Any] | None) -> Table:
    found = (figures or {}).get("per_class") or {}
    ranked = sorted(found.items(), key=lambda item: (item[1]["auc"] is None, item[1]["auc"]))
    rows = [[name, row["videos"], _bar(row["auc"]), _bar(row["auc_alone"])] for name, row in ranked]
    return Table(
        "Per class",
        ("class", "videos", "with all normal videos", "these videos alone"),
        rows,
        "Frame AUC of a class's anomalous videos; the hardest class first.",
    )


def _worst(videos: Sequence[TestVideo], costs: Mapping[str, float], anchors: Mapping[str, str]) -> Table:
    rows = []
    for video in [v for v in videos if costs.get(v.id)][:WORST]:
        rows.append(
            [
                Link(video.id, f"#{anchors[video.id]}"),
                _tag(video),
                f"{costs[video.id]:.4f}",
                show(_own_auc(video)),
                f"{video.scores.mean():.2f}",
                f"{video.scores.max():.2f}",
            ]
        )
    return Table(
        "Costliest videos",
        ("video", "class", "cost", "own AUC", "mean score", "highest"),
        rows,
        "Cost is the video's part of 1 − AUC: pairs of frames in the wrong order, charged half to each of their two "
        "videos.",
    )


def _curve(video: TestVideo, cost: float | None, anchor: str, picture: str, media: str) -> Curve:
    own = _own_auc(video)
    facts = [
        "" if own is None else f"own AUC {own:.3f}",
        f"highest {video.scores.max():.2f}" if len(video.scores) else "no frames",
        "frames not labelled" if cost is None else f"cost {cost:.4f}",
    ]
    return Curve(
        id=video.id,
        scores=video.scores,
        anchor=anchor,
        intervals=intervals(video),
        caption=" · ".join(fact for fact in facts if fact),
        tag=_tag(video),
        anomalous=video.label == 1,
        fps=video.fps,
        picture=picture,
        media=quote(media),
        threshold=0.5,
    )


def _own_auc(video: TestVideo) -> float | None:
    return None if video.labels is None else frame_metrics.auc(frame_metrics.runs([video.scores], [video.labels]))


def _tag(video: TestVideo) -> str:
    return video.category or {0: "normal", 1: "anomalous"}.get(video.label, "unlabelled")


def _bar(value: float | None) -> Bar:
    return Bar(value, show(value))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _details(summary: Mapping[str, Any]) -> dict[str, str]:
    counts = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in (summary.get("counts") or {}).items())
    versions = ", ".join(f"{name} {version}" for name, version in (summary.get("versions") or {}).items())
    switches = ", ".join(f"{name}={value}" for name, value in (summary.get("switches") or {}).items())
    inputs = ", ".join(f"{name}: {str(value)[:16]}" for name, value in (summary.get("inputs") or {}).items())
    labels = ", ".join(f"{k}: {v}" for k, v in (summary.get("labels") or {}).items() if v) or "the records' intervals"
    shown = {
        "counts": counts,
        "labels": labels,
        "tail": summary.get("tail"),
        "SSLS": summary.get("ssls"),
        "switches": switches,
        "inputs": inputs,
        "device": summary.get("device"),
        "versions": versions,
        "commit": summary.get("commit"),
        "interval": f"{frame_metrics.RESAMPLES:,} bootstrap resamples of videos",
        "rule names": "; ".join(f"{name}: {summaries.RULE_NAMES[name]}" for name in summaries.RULES),
    }
    return {name: str(value) for name, value in shown.items() if value}
