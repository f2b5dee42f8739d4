"""The model card of a saved FEST: the page that a repository of weights shows."""

from collections.abc import Mapping
from typing import Any

from ..data.catalogue import known_card
from ..metrics import METRICS, Counts, protocol_of
from ..model import scale_title

PAGE = """\
---
library_name: festkit
pipeline_tag: image-segmentation
license: other
tags:
- infrared
- small-target-detection
- SIRST
---

# {title}

Finds infrared small targets in single gray frames. One network per input size or scale factor \
gives a map of target probabilities; the maps are averaged (FEST, \
[arXiv 2407.20090](https://arxiv.org/abs/2407.20090)). Regions above th1 = {th1:g} are \
strong targets. {weak}

| input | network | input channels |
|--:|:--|--:|
{networks}

## Trained on

{training}

## Metrics

{metrics}

## Load

```python
import festkit as fk

fest = fk.FEST.from_pretrained("hf://OWNER/NAME")  # or the folder of this file
found = fest.predict(fk.read_image("frame.png"))
print(found.targets())
```

The weights are safetensors; loading them executes no code.

## Licence

{licence}
"""


def model_card(card: Mapping[str, Any], counts: Mapping[str, Counts]) -> str:
    """Describe a saved FEST in Markdown.

    Args:
        card: the card of the file that FEST.save has written.
        counts: counts of FEST.evaluate, by name of the images.

    Example:
        >>> card = {"networks": [{"size": 512, "backbone": "ACM", "in_channels": 3}], "th1": 0.5,
        ...         "th2": 0.1, "rule": "per_scale", "mean": 0.43, "std": 0.12,
        ...         "origin": {"dataset": "NUAA-SIRST"}}
        >>> print(model_card(card, {}).partition("# ")[2].splitlines()[0])
        LW-FEST: ACM at 512 px, trained on NUAA-SIRST
    """
    networks, origin = card["networks"], card.get("origin") or {}
    names = " + ".join(dict.fromkeys(each["backbone"] for each in networks))
    titles = [scale_title(each.get("scale", each["size"])) for each in networks]
    of = f", trained on {origin['dataset']}" if "dataset" in origin else ""
    return PAGE.format(
        title=f"{'FEST' if len(networks) > 1 else 'LW-FEST'}: {names} at {' + '.join(titles)}{of}",
        th1=card["th1"],
        weak=_weak(card),
        networks="\n".join(
            f"| {title} | {net['backbone']} | {net['in_channels']} |"
            for title, net in zip(titles, networks, strict=True)
        ),
        training=_training(card, origin),
        metrics=_metrics(card, counts),
        licence=_licence(origin),
    )


def _weak(card: Mapping[str, Any]) -> str:
    if card["th2"] is None:
        return "Weak targets are not marked."
    of = "of each scale's own map" if card["rule"] == "per_scale" else "of the fused map"
    return (
        f"Regions {of} whose highest probability lies between th2 = {card['th2']:g} and th1 are "
        "weak targets, of which the centre alone is marked."
    )


def _training(card: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    lines = [f"- Dataset: {origin.get('dataset', 'not stated')}"]
    for split in ("train", "test"):
        if f"{split}_split" in origin:
            lines.append(f"- Fingerprint of its {split} images: {origin[f'{split}_split']}")
    if card["mean"] is not None:
        lines.append(f"- Gray values: mean {card['mean']:.4f}, std {card['std']:.4f} of [0, 1]")
    if chosen := card.get("chosen_on"):
        images = " ".join(str(chosen[key]) for key in ("dataset", "split") if key in chosen)
        lines.append(f"- The thresholds were chosen on {images or 'images that are not stated'}.")
    return "\n".join(lines)


def _metrics(card: Mapping[str, Any], counts: Mapping[str, Counts]) -> str:
    if not counts:
        return "Not measured. `festkit evaluate FOLDER --dataset DATASET` measures them."
    titles = [metric.head for metric in METRICS.values()]
    lines = [
        "| images | number | " + " | ".join(titles) + " |",
        "|:--|" + "--:|" * (1 + len(METRICS)),
    ]
    for name, found in counts.items():
        cells = [
            metric.text(None if ratio == "score" and not found.valid else getattr(found, ratio))
            for ratio, metric in METRICS.items()
        ]
        lines.append(f"| {name} | {found.images} | " + " | ".join(cells) + " |")
    scales = [each.get("scale") for each in card["networks"]]
    protocol = protocol_of(card["th1"], card["th2"], card["rule"], scales).name
    return "\n".join([*lines, "", f"Protocol: {protocol}."])


def _licence(origin: Mapping[str, str]) -> str:
    known = filter(None, map(known_card, origin.get("dataset", "").split("+")))
    return "\n".join(
        [
            "The licence of the training images also applies to weights trained on them; state "
            "yours as `license:` above.",
            "",
            *(f"- {each.name}: {each.licence}. Cite: {each.citation}" for each in known),
        ]
    ).rstrip()
