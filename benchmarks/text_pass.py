"""The text pass of `release` on real films: how many are called, how long one takes, and its planted control.

    python benchmarks/text_pass.py --data ../shared/data --most 200      at most 200 films of each folder
    python benchmarks/text_pass.py --data ../shared/data --sheet out     and sheets of the films, called and not

A called film is one of which `release` would say that letters were found; whether it holds any is for an eye to say,
which is what the sheets are for: films as they lie, boxes drawn in. They are patients' films: keep them to yourself.

Axes: N films of one shape, (Y, X) pixels.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from medaudit import seeds
from medaudit.writers import text

FOLDERS = ("hannover", "nih64", "kermany224")
CELL, ACROSS = 224, 8  # pixels of a film on the sheet, films in a row


def drawn(folder: Path, most: int) -> list[Path]:
    """At most `most` film files of a folder, drawn with a fixed seed."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    chosen = seeds.generator(0, "text pass", folder.name).permutation(len(found))[:most]
    return [found[place] for place in sorted(chosen)]


def by_shape(paths: list[Path]) -> list[np.ndarray]:
    """Films as they lie, (N, Y, X) uint8 for each shape that occurs."""
    groups: dict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)
    for path in paths:
        with Image.open(path) as picture:
            image = np.asarray(picture.convert("L"))
        groups[image.shape].append(image)
    return [np.stack(group) for group in groups.values()]


def looked_at(
    groups: list[np.ndarray], find: text.Detector
) -> tuple[dict[str, object], dict[str, list[np.ndarray]]]:
    """What the pass says of the films, and the films by what it said."""
    times: list[float] = []

    def timed(image: np.ndarray) -> list[text.Box]:
        start = time.perf_counter()
        boxes = find(image)
        times.append(time.perf_counter() - start)
        return boxes

    films = called = planted = planted_found = unbelieved = 0
    shown: dict[str, list[np.ndarray]] = {"called": [], "not-called": []}
    for group in groups:
        films += len(group)
        found = text.look_for_text(group, np.arange(len(group)), detector=timed)
        if found is None:  # films of a rare shape; a release has one shape
            unbelieved += len(group)
            continue
        called += len(found.found_in)
        planted += found.planted
        planted_found += found.planted_found
        for number, film in enumerate(group, start=1):
            shown["called" if number in found.found_in else "not-called"].append(film)
    milliseconds = 1000 * np.array(times)
    facts = {
        "films": films,
        "called": called,
        "not_believed": unbelieved,
        "planted": planted,
        "planted_found": planted_found,
        "ms_median": round(float(np.median(milliseconds)), 1),
        "ms_95": round(float(np.percentile(milliseconds, 95)), 1),
    }
    return facts, shown


def sheet(films: list[np.ndarray], find: text.Detector, path: Path) -> None:
    """The films with the boxes that the detector drew, in rows."""
    rows = -(-len(films) // ACROSS)
    canvas = Image.new("RGB", (ACROSS * CELL, rows * CELL))
    for place, film in enumerate(films):
        picture = Image.fromarray(film).convert("RGB")
        draw = ImageDraw.Draw(picture)
        for box in find(text.eight_bits(film)):
            draw.rectangle(box, outline=(255, 80, 0))
        picture.thumbnail((CELL, CELL))
        canvas.paste(picture, (place % ACROSS * CELL, place // ACROSS * CELL))
    canvas.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--most", type=int, default=200, help="films of a folder")
    parser.add_argument("--sheet", type=Path, help="folder for sheets of the films")
    options = parser.parse_args()
    if not text.engine():
        sys.exit("no text detector is installed; install medaudit[text]")
    find = text.rapidocr_detector()
    found: dict[str, object] = {"engine": text.engine(), "load": [round(one, 2) for one in os.getloadavg()]}
    for name in FOLDERS:
        if (options.data / name).is_dir():
            found[name], shown = looked_at(by_shape(drawn(options.data / name, options.most)), find)
            for said, films in shown.items() if options.sheet else ():
                if films:
                    options.sheet.mkdir(parents=True, exist_ok=True)
                    sheet(films, find, options.sheet / f"{name}-{said}.png")
    found["load_after"] = [round(one, 2) for one in os.getloadavg()]
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
