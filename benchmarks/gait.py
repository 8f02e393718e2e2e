"""Errors of the gait's measures on moving sample horses, whose gait is known exactly.

    python benchmarks/gait.py --smoothers      compare smoothers; half of the seeds choose
    python benchmarks/gait.py                  the table of bars at 2, 4 and 8 px of noise
    python benchmarks/gait.py --told           asymmetries told from none, alone, with more trials
    python benchmarks/gait.py --rows           frame rates, strides, and noise like a model's
    python benchmarks/gait.py --gaits          gaits told apart

Noise is in px at 1,000 px of horse length (2.5 mm a px). The horse trots past a camera at its left
or right that follows it; stride durations vary by 2 %, asymmetries by 3 mm between strides.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import repository  # noqa: F401 - finds projects/
from scipy.signal import savgol_filter
from scipy.stats import t as student
from tqdm import tqdm

from equikpt.gait import GaitOptions, GaitReport, analyse
from equikpt.gait.angles import JOINTS, angle_deg
from equikpt.gait.symmetry import PARTS, extreme
from equikpt.tracks.smoothing import RADIUS_PER_SIGMA, smooth
from equikpt_runtime.one_euro import OneEuroFilter, OneEuroOptions
from projects.sample_horses.gait import GAITS
from projects.sample_horses.trials import NAMES, Motion, MovingTrial, gait_of, moving_trial

PLANTED_MM = 15.0
REPORT_SEEDS = 2000
"""Seeds from here on report; constants were chosen on those below."""
MODEL_LIKE = dict(correlation=0.6, far=1.5, spread=0.4, outliers=0.01)
NAMED = dict(tolt="tölt", canter="canter left", gallop="gallop left")


def random_motion(seed: int, **settings) -> Motion:
    """A trot whose head, withers and pelvis are each even, or off by 15 mm to either side."""
    rng = np.random.default_rng(seed)
    planted = {
        f"{part}_mm": (float(rng.choice([-1, 0, 0, 1])) * PLANTED_MM, 0.0)
        for part in ("head", "withers", "pelvis")
    }
    return Motion(
        **{
            **planted,
            "facing": str(rng.choice(["left", "right"])),
            "stride_s": float(rng.uniform(0.62, 0.76)),
            "variation_mm": 3.0,
            "variation": 0.02,
            **settings,
        }
    )


# --- truth ---


def true_diffs(trial: MovingTrial, part: str, start_s: float) -> tuple[float, float]:
    """MinDiff and MaxDiff of the stride that begins with a hoof-on of the left hind limb, mm."""
    row, stride_s = PARTS[part], trial.motion.stride_s
    height = trial.height_mm(*row.roles)
    half = gait_of(trial.motion).duty * stride_s / 2
    lows, highs = [], []
    for side in "lr":
        on = trial.on_s[f"{side}{row.pair}"]
        middle = min(on[on > start_s - 0.1 * stride_s], default=np.nan) + half
        fine = np.arange(middle - stride_s / 2, middle + stride_s, 1e-3)
        wave = height(fine)[None]
        lows.append(-extreme(fine, -wave, middle, stride_s / 4)[0])
        highs.append(extreme(fine, wave, middle + stride_s / 4, stride_s / 4)[0])
    return lows[1] - lows[0], highs[0] - highs[1]


def true_angle(trial: MovingTrial, limb: str, name: str) -> np.ndarray:
    """Angle of a joint in each frame, without perspective, degrees."""
    joint = next(joint for joint in JOINTS[limb[1]] if joint.name == name)
    sign = 1 if trial.motion.facing == "right" else -1
    xy = trial.side_mm.xy * [sign, -1]
    roles = [role.format(side=limb[0], limb=limb) for role in joint[1:4]]
    return angle_deg(*(xy[:, NAMES.index(role)] for role in roles), behind=joint.behind)


# --- errors of one trial ---


def errors(trial: MovingTrial, report: GaitReport) -> dict[str, list]:
    """Errors and hits of a report, by what they are of."""
    found: dict[str, list] = {}

    def add(key: str, *values: float) -> None:
        found.setdefault(key, []).extend(values)

    by_key = {(m.stride, m.part, m.name): m for m in report.measures}
    edge = 0.5 * trial.motion.stride_s
    for limb in ("lf", "rf", "lh", "rh"):
        for event, true in (("hoof_on", trial.on_s[limb]), ("hoof_off", trial.off_s[limb])):
            got = np.array([m.values[0] for m in report.measures
                            if (m.part, m.name) == (limb, event)] or [np.inf])  # fmt: skip
            # strides end before the last hoof-on of the reference
            last = report.strides[-1].end_s[0] if report.strides else 0
            first = report.strides[0].start_s[0] if report.strides else 0
            for at in true[(true > first + 0.05) & (true < last - edge)]:
                off = got[np.abs(got - at).argmin()] - at
                add("found", abs(off) < 0.08)
                if abs(off) < 0.08:
                    add(event, 1000 * off)
        for name, curves in ((j, c) for (at, j), c in report.curves.items() if at == limb):
            if name != "limb":
                landings = {m.stride: m.values[0] for m in report.measures
                       if (m.part, m.name) == (limb, "hoof_on")}  # fmt: skip
                add(f"angle {name}", *_angle_errors(trial, landings, limb, name, curves))
    starts = trial.on_s["lh"]
    for stride in report.strides:
        index = np.abs(starts - stride.start_s[0]).argmin()
        if abs(starts[index] - stride.start_s[0]) > 0.08 or index + 1 == len(starts):
            continue
        duration = by_key[stride.number, "stride", "duration"]
        true_duration = starts[index + 1] - starts[index]
        add("duration", 1000 * (duration.values[0] - true_duration))
        add("cover duration", covers(duration, true_duration, report))
        for part, row in PARTS.items():
            for end, true in zip(
                ("min", "max"), true_diffs(trial, part, starts[index]), strict=True
            ):
                m = by_key.get((stride.number, part, f"{row.letters}{end}"))
                if m is not None and np.isfinite(m.values[0] + true):
                    add("diff", m.values[0] - true)
                    add("cover diff", covers(m, true, report))
    for part, row in PARTS.items():
        planted = getattr(trial.motion, f"{part}_mm")
        for end, true in zip(("min", "max"), planted, strict=True):
            value = next((v for v in report.values
                          if (v.part, v.name) == (part, f"{row.letters}{end}")), None)  # fmt: skip
            if value is None or np.isnan(value.mean):
                continue
            add("trial diff", value.mean - true)
            add("cover trial", value.low <= true <= value.high)
            wider = student.ppf(0.975, value.count - 1) / student.ppf(0.95, value.count - 1)
            told = abs(value.mean) > wider * (value.high - value.low) / 2
            add("told" if true else "false alarm", told)
    add("gait", *(stride.gait == NAMED.get(trial.motion.gait, trial.motion.gait)
                  for stride in report.strides))  # fmt: skip
    return found


def covers(measure, true: float, report: GaitReport) -> float:
    half = measure.half_width(report.options.level)
    return np.nan if np.isnan(half) else float(abs(measure.values[0] - true) <= half)


def _angle_errors(trial, landings: dict[int, float], limb: str, name: str, curves) -> list[float]:
    """Root mean square error of each stride's curve against that of the true joint."""
    truth = true_angle(trial, limb, name)
    found = []
    for number, curve in zip(curves.strides, curves.angles, strict=True):
        if number + 1 not in landings:
            continue
        start, end = landings[number], landings[number + 1]
        wanted = np.interp(start + np.linspace(0, 1, 101) * (end - start), trial.times_s, truth)
        found.append(float(np.sqrt(np.mean((curve - wanted) ** 2))))
    return found


Noise = dict[str, object]


def collect(
    motions: list[Motion], noises: dict[str, Noise], seed: int, replicates: int = 100
) -> dict[str, dict]:
    """Errors of trials under each noise: settings of ``MovingTrial.table``, and ``radii``."""
    total: dict[str, dict[str, list]] = {name: {} for name in noises}
    for number, motion in enumerate(tqdm(motions, unit="trial", disable=None)):
        trial = moving_trial(motion, seed + number)
        for name, noise in noises.items():
            settings = {key: value for key, value in noise.items() if key != "radii"}
            noisy = trial.table(rng=np.random.default_rng([seed, number]), **settings)
            noisy = noisy if noise.get("radii", True) else replace(noisy, radii=None)
            options = GaitOptions(mm_per_px=trial.mm_per_px, replicates=replicates)
            report = analyse(noisy, options)
            for key, values in errors(trial, report).items():
                total[name].setdefault(key, []).extend(values)
    return {
        name: {key: np.array(values, float) for key, values in own.items()}
        for name, own in total.items()
    }


def _middle(key: str):
    """Median distance and mean of an error."""
    return lambda t: f"{np.median(np.abs(t[key])):.1f} ({np.mean(t[key]):+.1f})"


def _mean(key: str):
    """Mean distance and mean of an error."""
    return lambda t: f"{np.mean(np.abs(t[key])):.1f} ({np.mean(t[key]):+.1f})"


def _covered(total: dict[str, np.ndarray]) -> str:
    keys = ("duration", "diff", "trial")
    return ", ".join(f"{100 * np.nanmean(total[f'cover {key}']):.0f}" for key in keys)


COLUMNS = (
    ("on, ms", "25", _middle("hoof_on")),
    ("off, ms", "25", _middle("hoof_off")),
    ("found, %", "≥ 95", lambda t: f"{100 * t['found'].mean():.1f}"),
    ("duration, ms", "10", _mean("duration")),
    ("angles, deg", "4", lambda t: _angles(t)),
    ("diff, mm a stride", "6", _mean("diff")),
    ("diff, mm a trial", "2.5", _mean("trial diff")),
    ("told 15 mm, %", "≥ 95", lambda t: _share(t, "told")),
    ("false, %", "≤ 5", lambda t: _share(t, "false alarm")),
    ("gait, %", "≥ 98", lambda t: f"{100 * t['gait'].mean():.1f}"),
    ("covered: duration, diff, trial, %", "85 to 95", _covered),
)


def _angles(total: dict[str, np.ndarray]) -> str:
    means = {key: value.mean() for key, value in total.items() if key.startswith("angle ")}
    worst = max(means, key=lambda key: means[key])
    return f"{np.mean([*means.values()]):.1f}, {worst.removeprefix('angle ')} {means[worst]:.1f}"


def _share(total: dict[str, np.ndarray], key: str) -> str:
    return f"{100 * total[key].mean():.1f} of {len(total[key])}" if key in total else "–"


def table(rows: dict[str, dict[str, np.ndarray]]) -> str:
    lines = [["", *(name for name, _, _ in COLUMNS)], ["---"] * (len(COLUMNS) + 1)]
    lines.append(["bar", *(bar for _, bar, _ in COLUMNS)])
    lines += [[name, *(show(total) for _, _, show in COLUMNS)] for name, total in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- what is printed ---


def bars(args: argparse.Namespace) -> str:
    motions = [random_motion(args.seed + n) for n in range(args.trials)]
    return table(collect(motions, {f"{px} px": dict(sigma_px=px) for px in (2, 4, 8)}, args.seed))


def told(args: argparse.Namespace) -> str:
    """The columns of asymmetries and of their means' intervals, which need few replicates."""
    motions = [random_motion(args.seed + n) for n in range(args.trials)]
    found = collect(motions, {"4 px": dict(sigma_px=4)}, args.seed, replicates=20)["4 px"]
    covered = found["cover trial"]
    return (
        f"told 15 mm, %: {_share(found, 'told')}; false, %: {_share(found, 'false alarm')}; "
        f"covered, %: {100 * covered.mean():.1f} of {len(covered)}"
    )


def rows(args: argparse.Namespace) -> str:
    plain = [random_motion(args.seed + n) for n in range(args.trials)]
    noises = {
        "20 strides": dict(sigma_px=4),
        "no radii": dict(sigma_px=4, radii=False),
        "like a model's": dict(sigma_px=4, **MODEL_LIKE),
        "the same without radii": dict(sigma_px=4, radii=False, **MODEL_LIKE),
    }
    found = collect(plain, noises, args.seed)
    for name, settings in (
        ("5 strides", dict(strides=6)),
        ("10 strides", dict(strides=11)),
        ("40 strides", dict(strides=41)),
        ("30 fps", dict(fps=30.0)),
        ("120 fps", dict(fps=120.0)),
    ):
        motions = [replace(motion, **settings) for motion in plain]
        found |= collect(motions, {name: dict(sigma_px=4)}, args.seed)
    return table(found)


def gaits(args: argparse.Namespace) -> str:
    lines = ["| gait | 2 px | 4 px | 8 px |", "| --- | --- | --- | --- |"]
    for name in GAITS:
        cells = []
        for px in (2, 4, 8):
            hits: list[bool] = []
            for number in range(max(2, args.trials // 10)):
                motion = Motion(gait=name, strides=12, variation=0.02, mirrored=bool(number % 2))
                trial = moving_trial(motion, args.seed + number)
                table_ = trial.table(px, np.random.default_rng([args.seed, number]))
                side = "right" if motion.mirrored else "left"
                wanted = NAMED.get(name, name).replace("left", side)
                hits += [s.gait == wanted for s in analyse(table_).strides]
            cells.append(f"{100 * np.mean(hits):.1f} % of {len(hits)}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


# --- smoothers ---


def smoothers(fps: float) -> dict:
    """Functions of times (T,), values (T,) and SDs (T,), by name and setting."""
    found = {}
    for cutoff in (2.0, 4.0, 6.0):
        for beta in (0.005, 0.02):
            found["One Euro", (cutoff, beta)] = lambda t, y, s, c=cutoff, b=beta: _one_euro(
                t, y, c, b
            )
    for window_s in (0.15, 0.2, 0.25, 0.3):
        for order in (2, 4):
            count = int(round(window_s * fps)) | 1
            if count > order + 1:
                found["Savitzky–Golay", (window_s, order)] = lambda t, y, s, n=count, o=order: (
                    savgol_filter(y, n, o)
                )
    for cutoff in (4.0, 5.0, 6.0, 7.0, 8.0):
        q = (2 * np.pi * cutoff) ** 6 / fps
        found["Kalman/RTS, one SD", cutoff] = lambda t, y, s, q=q: smooth(
            t, y[:, None], np.ones(len(y)), q
        )[:, 0]
        found["Kalman/RTS, radii", cutoff] = lambda t, y, s, q=q: smooth(
            t, y[:, None], s, q * np.median(s) ** 2
        )[:, 0]
    return found


def _one_euro(times, values, cutoff: float, beta: float) -> np.ndarray:
    one_euro = OneEuroFilter(OneEuroOptions(cutoff, beta))
    return np.array([one_euro(value, at) for value, at in zip(values, times, strict=True)])


def compare_smoothers(args: argparse.Namespace) -> str:
    """RMS error of MinDiff, MaxDiff and range, bias of the range; the choice on other seeds."""
    names, found = sorted({name for name, _ in smoothers(60.0)}), {}
    for phase, first in (("choose", 0), ("report", REPORT_SEEDS)):
        for seed in tqdm(range(first, first + 4), unit="trial", disable=None):
            for fps in (30.0, 60.0, 120.0):
                motion = random_motion(seed, fps=fps, strides=10)
                trial = moving_trial(motion, seed)
                for spread in (0.0, 0.6):
                    for px in (2, 4, 8):
                        noisy = trial.table(px, np.random.default_rng(seed), spread=spread)
                        for key, run in smoothers(fps).items():
                            case = (phase, *key, fps, spread > 0)
                            found.setdefault(case, []).append(_extremes(trial, noisy, run))
    lines = ["| smoother | setting | even radii: 30, 60, 120 fps | radii that vary | range |",
             "| --- | --- | --- | --- | --- |"]  # fmt: skip
    for name in names:
        settings = {key[2] for key in found if key[1] == name}

        def rms(phase, setting, only=None, name=name):
            errs = [e for k, v in found.items() if k[:3] == (phase, name, setting)
                    and (only is None or k[3:] == only) for each in v for e in each[0]]  # fmt: skip
            return float(np.sqrt(np.mean(np.square(errs))))

        best = min(settings, key=lambda setting: rms("choose", setting))
        rates = (30.0, 60.0, 120.0)
        cells = [" ".join(f"{rms('report', best, (fps, varied)):.1f}" for fps in rates)
                 for varied in (False, True)]  # fmt: skip
        bias = [each[1] for k, v in found.items() if k[:3] == ("report", name, best) for each in v]
        lines.append(f"| {name} | {best} | {' | '.join(cells)} | {np.mean(bias):+.1f} |")
    return "\n".join(lines)


def _extremes(trial: MovingTrial, noisy, run) -> tuple[list[float], float]:
    """Errors of MinDiff, MaxDiff and range of the withers, and the mean of the latter, mm."""
    column = NAMES.index("withers")
    path = run(trial.times_s, noisy.xy[:, column, 1], noisy.radii[:, column] / RADIUS_PER_SIGMA)
    height, stride_s = -path[None] * trial.mm_per_px, trial.motion.stride_s
    half, quarter = gait_of(trial.motion).duty * stride_s / 2, stride_s / 4
    found, ranges = [], []
    true = trial.height_mm("withers")(trial.times_s)[None]
    for on in trial.on_s["lf"]:
        other = trial.on_s["rf"][trial.on_s["rf"] > on][:1] + half
        if len(other) == 0 or on < 0.3 * stride_s or other[0] + 0.6 * stride_s > trial.times_s[-1]:
            continue
        both = []
        for wave in (height, true):
            lows = [-extreme(trial.times_s, -wave, at, quarter)[0] for at in (on + half, other[0])]
            highs = [extreme(trial.times_s, wave, at + quarter, quarter)[0]
                     for at in (on + half, other[0])]  # fmt: skip
            both.append((lows[1] - lows[0], highs[0] - highs[1], highs[0] - lows[0]))
        off = np.subtract(*both)
        found += [value for value in off if np.isfinite(value)]
        ranges.append(off[2])
    return found, float(np.nanmean(ranges))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=REPORT_SEEDS)
    for name in ("smoothers", "told", "rows", "gaits"):
        parser.add_argument(f"--{name}", action="store_true")
    args = parser.parse_args(argv)
    chosen = {
        compare_smoothers: args.smoothers,
        told: args.told,
        rows: args.rows,
        gaits: args.gaits,
    }
    for show in [show for show, wanted in chosen.items() if wanted] or [bars]:
        print(show(args))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
