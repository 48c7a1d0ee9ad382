"""One table a model: what sharing saves and what it costs; then the same in words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.records import CellSamples, Footprint, Measurements, Ratio
from pipeline.report.digits import LEAST_SEEN_BYTES, file_size, mebibytes, percent_less, ratio_text, time_texts
from pipeline.report.figures import SIDES, Figures

_ONNX = "model.onnx"
NO_DIFFERENCE = "no difference shown"
_NONE_SHOWN = "none shown"
RULE = (
    "ratio: unshared ÷ shared; of times it is paired, with a 95 % interval over worker processes, and a difference is "
    "shown where 1 lies outside it (of cells that don't differ about one in 20 shows one by chance)"
)
# What it is of, shared, unshared, the ratio, what that shows.
Row = tuple[str, ...]
# How a cell is called: what is done, by which runtime, at which batch size.
_SHORT = {"inference": "", "training_step": "train "}
_WORKS = {"inference": "inference", "training_step": "training step"}
_ONE_PROCESS = "one process each: spread unknown"


def show(figures: Figures, console: Console) -> None:
    """Print the table of one model, then what it means."""
    if figures.manifests or figures.training:
        console.print(table(figures))
    else:
        console.print(f"{figures.model}: no figures", markup=False)
    for sentence in words(figures):
        # A terminal wraps lines itself; a picture of one must not lose their ends.
        console.print(f"- {sentence}", markup=False, soft_wrap=not console.record)
    console.print()


def table(figures: Figures) -> Table:
    """The figures of both variants side by side; a row for which figures are missing is left out."""
    title = f"{figures.model}: shared against its unshared twin"
    shown = Table(title=title, title_justify="left", caption=_where(figures), caption_justify="left", box=SIMPLE_HEAD)
    shown.padding, shown.pad_edge = (0, 0), False
    for column in ("", "shared", "unshared", "ratio"):
        shown.add_column(column, justify="left" if not column else "right", no_wrap=column == "ratio")
    shown.add_column("difference")
    for row in (*_size_rows(figures), *_quality_rows(figures)):
        shown.add_row(*row)
    for measurements in figures.measurements:
        shown.add_section()
        for row in (*_memory_rows(measurements), *_time_rows(measurements)):
            shown.add_row(*row)
    return shown


def words(figures: Figures) -> list[str]:
    """What the figures mean, a sentence each, and which are missing."""
    sentences = [*_size_words(figures), *_quality_words(figures)]
    for measurements in figures.measurements:
        sentences += [*_time_words(measurements), *_memory_words(measurements)]
        sentences += [f"{name} is not timed: {reason}" for name, reason in measurements.left_out.items()]
        sentences += _notes(measurements)
    return [*sentences, *figures.missing]


def _where(figures: Figures) -> str | None:
    if not figures.measurements:
        return None
    lines = [
        f"{m.environment.cpu}, {m.environment.logical_cores} cores, on {m.environment.device}, {m.measured_at}, "
        f"{'quick' if m.quick else 'full'} form{_at_sizes(m)}"
        for m in figures.measurements
    ]
    return "\n".join(["a row is a runtime at a batch size: its inference, or its training step (train)", *lines, RULE])


def _at_sizes(measurements: Measurements) -> str:
    sizes = measurements.cells[0].subject.sizes if measurements.cells else {}
    return ", at " + ", ".join(f"{axis} {size}" for axis, size in sizes.items()) if sizes else ""


# --- sizes --------------------------------------------------------------------------------------------------------


def _size_rows(figures: Figures) -> list[Row]:
    if figures.both is None:
        return [
            ("parameters", *_only(figures, f"{manifest.parameters.stored:,}", side), "", "")
            for side, manifest in figures.manifests.items()
        ]
    shared, unshared = (manifest.parameters.stored for manifest in figures.both)
    rows: list[Row] = [
        ("parameters", f"{shared:,}", f"{unshared:,}", f"{unshared / shared:.2f}", percent_less(shared, unshared))
    ]
    files = [manifest.files.get(_ONNX) for manifest in figures.both]
    if files[0] is not None and files[1] is not None:
        sizes = files[0].size, files[1].size
        ratio = f"{sizes[1] / sizes[0]:.2f}"
        rows.append((_ONNX, file_size(sizes[0]), file_size(sizes[1]), ratio, percent_less(*sizes)))
    return rows


def _only(figures: Figures, text: str, side: str) -> tuple[str, str]:
    return (text, "") if side == "shared" else ("", text)


def _size_words(figures: Figures) -> list[str]:
    if figures.both is None:
        return []
    shared, unshared = (manifest.parameters.stored for manifest in figures.both)
    if shared == unshared:
        return [f"nothing is shared: both variants store {shared:,} parameters"]
    saved = percent_less(shared, unshared).replace("less", "fewer")
    return [f"the shared model stores {saved} parameters than its twin: {shared:,} against {unshared:,}"]


# --- quality ------------------------------------------------------------------------------------------------------


def _quality_rows(figures: Figures) -> list[Row]:
    rows: list[Row] = []
    name, values, threshold = _metric(figures)
    if name is not None:
        bar = "" if threshold is None else f"bar: {threshold:g}"
        rows.append((f"held-out {name}", *(_metric_text(values.get(side)) for side in SIDES), "", bar))
    errors = {side: record.symmetry_error for side, record in figures.training.items()}
    if any(error is not None for error in errors.values()):
        texts = ["" if (error := errors.get(side)) is None else f"{error:.1g}" for side in SIDES]
        rows.append(("|f(a, b) - f(b, a)|", *texts, "", "largest"))
    return rows


def _metric(figures: Figures) -> tuple[str | None, dict[str, float], float | None]:
    """The task's metric: its name, each variant's held-out value, the bar; of the bundles, or else from training."""
    name, threshold = None, None
    values: dict[str, float] = {}
    for side in SIDES:
        trained, manifest = figures.training.get(side), figures.manifests.get(side)
        if manifest is not None and manifest.metric is not None:
            name, values[side], threshold = manifest.metric.name, manifest.metric.value, manifest.metric.threshold
        elif trained is not None and trained.metric is not None and trained.value is not None:
            name, values[side], threshold = trained.metric, trained.value, trained.threshold
    return name, values, threshold


def _metric_text(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _quality_words(figures: Figures) -> list[str]:
    name, values, threshold = _metric(figures)
    if name is None:
        return ["there is no held-out figure: the model has no task with data and a metric, or is not trained"]
    sentences = []
    if "shared" in values and threshold is not None:
        held = "is past" if values["shared"] >= threshold else "MISSES"
        sentences.append(
            f"the shared model's held-out {name} of {values['shared']:.3f} {held} its bar of {threshold:g}"
        )
    if len(values) == len(SIDES):
        difference = values["shared"] - values["unshared"]
        better = "the twin reaches the same" if difference == 0 else f"the twin reaches {values['unshared']:.3f}"
        sentences.append(f"{better} on the same budget; one training run each, which ranks neither")
    return [*sentences, *_symmetry_words(figures)]


def _symmetry_words(figures: Figures) -> list[str]:
    errors = [record.symmetry_error for side in SIDES if (record := figures.training.get(side)) is not None]
    if len(errors) != len(SIDES) or errors[0] is None or errors[1] is None:
        return []
    return [
        f"with the inputs swapped the shared model's answer moves by at most {errors[0]:.1g}, "
        f"the twin's by up to {errors[1]:.1g}"
    ]


# --- memory -------------------------------------------------------------------------------------------------------


def _memory_rows(measurements: Measurements) -> list[Row]:
    rows: list[Row] = []
    for label, shared, unshared in _footprint_pairs(measurements):
        sizes = mebibytes(shared.resident_bytes), mebibytes(unshared.resident_bytes)
        rows.append((f"{label}: memory", *sizes, "", _in_table(_memory_reading(shared, unshared))))
    return rows


def _footprint_pairs(measurements: Measurements) -> list[tuple[str, Footprint, Footprint]]:
    """What each footprint is of, and the footprints of both variants."""
    pairs = []
    for key, shared in measurements.footprints.items():
        cell, _, variant = key.rpartition("/")
        unshared = measurements.footprints.get(f"{cell}/unshared")
        if variant == "shared" and unshared is not None:
            _, work, runtime, _, batch = cell.split("/")
            label = f"{_SHORT[work]}{runtime}, {batch.removeprefix('batch')}"
            pairs.append((label, shared, unshared))
    return pairs


def _memory_reading(shared: Footprint, unshared: Footprint) -> str:
    if shared.processes < 2 or unshared.processes < 2:
        return _ONE_PROCESS
    saved = unshared.resident_bytes - shared.resident_bytes
    if abs(saved) <= max(shared.resident_spread_bytes + unshared.resident_spread_bytes, LEAST_SEEN_BYTES):
        return NO_DIFFERENCE
    return f"shared holds {mebibytes(abs(saved))} {'less' if saved > 0 else 'more'}"


def _memory_words(measurements: Measurements) -> list[str]:
    sentences = []
    for label, shared, unshared in _footprint_pairs(measurements):
        reading = _memory_reading(shared, unshared)
        if label.startswith("onnxruntime"):
            sentences.append(f"resident memory after the first answer ({label}): {reading}")
    return sentences


# --- times --------------------------------------------------------------------------------------------------------


def _time_rows(measurements: Measurements) -> list[Row]:
    by_key = {cell.subject.key: cell for cell in measurements.cells}
    rows: list[Row] = []
    for ratio in measurements.ratios:
        shared, unshared = by_key[f"{ratio.subject}/shared"], by_key[f"{ratio.subject}/unshared"]
        times = time_texts(shared, unshared)
        rows.append((_cell_label(shared), *times, ratio_text(ratio), _in_table(reading(ratio))))
    return rows


def _cell_label(cell: CellSamples) -> str:
    subject = cell.subject
    return f"{_SHORT[subject.work]}{subject.runtime}, {subject.batch}"


def _in_table(text: str) -> str:
    """A reading as short as a cell of a terminal's table wants it."""
    return {NO_DIFFERENCE: _NONE_SHOWN, _ONE_PROCESS: "one process"}.get(text, text.removeprefix("shared holds "))


def reading(ratio: Ratio) -> str:
    """What a ratio shows: nothing while 1 lies in its interval, or there is no interval."""
    if not ratio.shows_difference:
        return NO_DIFFERENCE
    return "shared faster" if ratio.ratio > 1 else "shared slower"


def _time_words(measurements: Measurements) -> list[str]:
    sentences = []
    by_cell = {cell.subject.cell: cell for cell in measurements.cells}
    for work, label in _WORKS.items():
        ratios = [ratio for ratio in measurements.ratios if by_cell[ratio.subject].subject.work == work]
        if ratios:
            device = by_cell[ratios[0].subject].subject.device
            sentences.append(f"{label} on the {device}: {_verdict(ratios, by_cell)}")
    return sentences


def _verdict(ratios: Sequence[Ratio], by_cell: dict[str, CellSamples]) -> str:
    """How many cells show no difference, and which show what."""
    without = sum(not ratio.shows_difference for ratio in ratios)
    if without == len(ratios):
        return f"no difference shown in any of {len(ratios)} cells: sharing costs no time that this run could see"
    different = [
        f"{reading(ratio)} in {_cell_label(by_cell[ratio.subject])}: {ratio_text(ratio)}"
        for ratio in ratios
        if ratio.shows_difference
    ]
    counted = (
        f"{NO_DIFFERENCE} in {without} of {len(ratios)} cells" if without else f"a difference in all {len(ratios)}"
    )
    return f"{counted}; {'; '.join(different)}"


def _notes(measurements: Measurements) -> list[str]:
    notes = {
        f"{_WORKS[cell.subject.work]} in {cell.subject.runtime}: {cell.note}"
        for cell in measurements.cells
        if cell.note
    }
    return sorted(notes)
