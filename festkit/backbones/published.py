"""Tensor names of published checkpoints, network by network, and what festkit calls them.

A row maps the module part of a published name (all but its last word) by a regular expression. In
the replacement ``{1}`` is the first group, and ``{1-1}`` the first group counted from 0 instead
of 1.
A row without a replacement names modules that no path of the published network reaches; their
numbers never had an effect.
"""

import re

Row = tuple[str, str | None]


def rename(published: str, rows: list[Row]) -> str | None:
    """What festkit calls a published tensor; None if no path of the network reaches it.

    Raises:
        KeyError: if no row knows the name.

    Example:
        >>> rename("stage.layer1.3.weight", ROWS["MLCL-Net"])
        'stem.1.0.weight'
    """
    module, _, word = published.rpartition(".")
    for pattern, replacement in rows:
        match = re.fullmatch(pattern, module)
        if match:
            return None if replacement is None else f"{_fill(replacement, match)}.{word}"
    raise KeyError(published)


def _fill(replacement: str, match: re.Match[str]) -> str:
    def group(place: re.Match[str]) -> str:
        value = match[int(place[1])]
        return str(int(value) - 1) if place[2] else value

    return re.sub(r"\{(\d)(-1)?\}", group, replacement)


def _basic(published: str, ours: str) -> list[Row]:
    """A residual block of two convolutions and two batch norms."""
    parts = {"conv1": "body.0", "bn1": "body.1", "conv2": "body.3", "bn2": "body.4"}
    return [(rf"{published}\.{part}", f"{ours}.{own}") for part, own in parts.items()]


_MODULATION: list[Row] = [
    (r"stem\.(\d)", "stem.{1}"),
    *_basic(r"layer(\d)\.(\d)", "encoder{1}.{2}"),
    (r"layer(\d)\.(\d)\.downsample\.(\d)", "encoder{1}.{2}.shortcut.{3}"),
    (r"deconv(\d)", "up{1}"),
    (r"head\.block\.(\d)", "head.{1}"),
]


def _fusions(pattern: str) -> list[Row]:
    parts = {"topdown": "context", "bottomup": "detail", "post": "merge"}
    return [(rf"{pattern}\.{part}\.(\d)", f"fuse{{1}}.{own}.{{2}}") for part, own in parts.items()]


def _stem(ours: str) -> list[Row]:
    return [
        (r"stage\.layer1\.([01])", f"{ours}.0.{{1}}"),
        (r"stage\.layer1\.3", f"{ours}.1.0"),
        (r"stage\.layer1\.4", f"{ours}.1.1"),
    ]


_LEVELS: list[Row] = [
    (r"lcl(\d)\.layer1\.(\d)", "contrasts.{1-1}.{2}"),
    (r"sbam(\d)\.hl_layer\.(\d)", "fusions.{1-1}.deep.{2-1}"),
    (r"layer\.(\d)", "head.{1}"),
]

_DOWN_UNITS: list[Row] = [
    (r"stage\.resnet(\d)_1\.layer1\.(\d)", "encoders.{1-1}.0.body.{2}"),
    (r"stage\.resnet(\d)_1\.layer2\.(\d)", "encoders.{1-1}.0.shortcut.{2}"),
]


def _u_block(published: str, ours: str, height: int) -> list[Row]:
    """A residual U-block of UIU-Net: its layers are numbered downwards, then upwards with a d."""
    own = {f"{depth}": f"down.{depth - 1}" for depth in range(1, height)}
    own |= {"in": "enter", f"{height}": "bottom"}
    own |= {f"{depth}d": f"up.{height - 1 - depth}" for depth in range(1, height)}
    return [
        (rf"{published}\.rebnconv{name}\.{part}_s1", f"{ours}.{place}.{index}")
        for name, place in own.items()
        for index, part in enumerate(("conv", "bn"))
    ]


def _directions(published: str, ours: str) -> list[Row]:
    """A direction-aware unit of MSDA-Net."""
    bands = enumerate(("LH", "HL", "HH", "LL"))
    return [
        *_branches(published, ours),
        *_conv_bn(rf"{published}\.conv_cat", f"{ours}.body.0"),
        *(
            (
                rf"{published}\.FrequencyAttention\.{band}_reduce\.conv",
                f"{ours}.body.1.attentions.{k}.conv",
            )
            for k, band in bands
        ),
        (rf"{published}\.FrequencyAttention\.conv_res\.0", f"{ours}.body.1.conv.0"),
        (rf"{published}\.FrequencyAttention\.conv_res\.1", f"{ours}.body.1.conv.1"),
        (rf"{published}\.SEAttention\.fc\.0", f"{ours}.body.2.gate.0"),
        (rf"{published}\.SEAttention\.fc\.2", f"{ours}.body.2.gate.2"),
        *_conv_bn(rf"{published}\.conv_res", f"{ours}.body.3"),
        (rf"{published}\.FrequencyAttention\.\w\w_DWT_2D_attation", None),
    ]


def _conv_bn(published: str, ours: str) -> list[Row]:
    return [(rf"{published}\.conv", f"{ours}.0"), (rf"{published}\.bn", f"{ours}.1")]


def _branches(published: str, ours: str) -> list[Row]:
    """Branch 0 is one layer, the others are two."""
    rows = _conv_bn(rf"{published}\.branch0\.0", f"{ours}.branches.0")
    for branch in (1, 2, 3):
        for layer in (0, 1):
            rows += _conv_bn(
                rf"{published}\.branch{branch}\.{layer}", f"{ours}.branches.{branch}.{layer}"
            )
    return rows


def _mlcl_net() -> list[Row]:
    return [
        *_stem("stem"),
        (r"stage\.resnet1_(\d)\.layer\.(\d)", "encoder1.{1-1}.body.{2}"),
        (r"stage\.resnet(\d)_1\.layer1\.(\d)", "encoder{1}.0.body.{2}"),
        (r"stage\.resnet(\d)_1\.layer2\.(\d)", "encoder{1}.0.shortcut.{2}"),
        (r"stage\.resnet(\d)_(\d)\.layer\.(\d)", "encoder{1}.{2-1}.body.{3}"),
        (r"mlcl(\d)\.layer(\d)\.(\d)", "contrast{1}.branches.{2-1}.{3}"),
        (r"mlcl(\d)\.conv", "contrast{1}.merge"),
        (r"conv(\d)\.0", "project{1}.0"),
        (r"layer\.(\d)", "head.{1}"),
    ]


def _alcl_net() -> list[Row]:
    return [
        *_stem("encoders.0.0"),
        (r"stage\.resnet1_(\d)\.layer\.(\d)", "encoders.0.{1}.body.{2}"),
        *_DOWN_UNITS,
        (r"stage\.resnet(\d)_(\d)\.layer\.(\d)", "encoders.{1-1}.{2-1}.body.{3}"),
        (r"sbam(\d)\.ll_layer\.(\d)", "fusions.{1-1}.gate.{2}"),
        *_LEVELS,
    ]


def _ggl_net() -> list[Row]:
    unit = r"stage\.resnet(\d)_(\d)"
    return [
        *_stem("encoders.0.0"),
        (r"stage\.resnet1_1\.layer\.(\d)", "encoders.0.1.body.{1}"),
        *_squeezed(r"stage\.resnet1_(\d)", "encoders.0.{1}.body", 2),
        *_DOWN_UNITS,
        *_squeezed(unit, "encoders.{1-1}.{2-1}.body", 3),
        *_guide("layer1", "edges"),
        *_guide("layer2", "merge"),
        (r"sbam(\d)\.hl_layer_2\.se\.(\d)", "fusions.{1-1}.channels.gate.{2}"),
        (r"sbam(\d)\.ll_layer\.conv", "fusions.{1-1}.pixels.conv"),
        *_LEVELS,
    ]


def _squeezed(published: str, ours: str, last: int) -> list[Row]:
    """A residual unit with squeeze and excitation; ``last`` is the number of its last group."""
    return [
        (rf"{published}\.layer1\.([01])", f"{ours}.{{{last}}}"),
        (rf"{published}\.SEAttention\.fc\.(\d)", f"{ours}.3.gate.{{{last}}}"),
        (rf"{published}\.layer2\.0", f"{ours}.4"),
        (rf"{published}\.layer2\.1", f"{ours}.5"),
    ]


def _guide(published: str, ours: str) -> list[Row]:
    place = rf"stage\.Res(\d)\.{published}"
    return [
        (rf"{place}\.3\.fc\.(\d)", f"guides.{{1-1}}.{ours}.3.gate.{{2}}"),
        (rf"{place}\.(\d)", f"guides.{{1-1}}.{ours}.{{2}}"),
    ]


def _dna_net() -> list[Row]:
    rows: list[Row] = []
    for published, ours in (
        (r"conv(\d_\d)\.(\d)", "nodes.{1}.{2}"),
        (r"conv0_4_(final)\.(0)", "final"),
    ):
        rows += _basic(published, ours)
        rows += [
            (rf"{published}\.shortcut\.(\d)", f"{ours}.shortcut.{{3}}"),
            (rf"{published}\.ca\.fc1", f"{ours}.channels.gate.0"),
            (rf"{published}\.ca\.fc2", f"{ours}.channels.gate.2"),
            (rf"{published}\.sa\.conv1", f"{ours}.pixels.conv"),
        ]
    return [
        *rows,
        (r"conv0_(\d)_1x1", "gather.{1-1}"),
        (r"final4", "head"),
        (r"final([123])", "side_heads.{1-1}"),
    ]


def _uiu_net() -> list[Row]:
    heights = (7, 6, 5, 4, 4, 4)
    rows: list[Row] = []
    for depth, height in enumerate(heights, start=1):
        rows += _u_block(f"stage{depth}", f"encoders.{depth - 1}", height)
        rows += _u_block(f"stage{depth}d", f"decoders.{5 - depth}", height)
    for depth in (2, 3, 4, 5):
        ours = f"attentions.{5 - depth}"
        rows += [
            (rf"fuse{depth}\.feature_high\.(\d)", f"{ours}.deep.{{1}}"),
            (rf"fuse{depth}\.topdown\.(\d)", f"{ours}.context.{{1}}"),
            (rf"fuse{depth}\.bottomup\.(\d)", f"{ours}.detail.{{1}}"),
            (rf"fuse{depth}\.bottomup\.3\.conv1", f"{ours}.where"),
            (rf"fuse{depth}\.post\.(\d)", f"{ours}.merge.{{1}}"),
        ]
    return [*rows, (r"side(\d)", "side_heads.{1-1}"), (r"outconv", "head")]


def _msda_net() -> list[Row]:
    rows: list[Row] = [
        *_stem("encoder1.0"),
        (r"stage\.resnet1_1\.layer\.(\d)", "encoder1.1.body.{1}"),
        (r"stage\.resnet2_1\.layer1\.(\d)", "down2.body.{1}"),
        (r"stage\.resnet2_1\.layer2\.(\d)", "down2.shortcut.{1}"),
        (r"stage\.resnet(\d)_1\.layer1\.(\d)", "encoder{1}.0.body.{2}"),
        (r"stage\.resnet(\d)_1\.layer2\.(\d)", "encoder{1}.0.shortcut.{2}"),
        *_directions(r"stage\.resnet1_(\d)", "encoder1.{1}"),
        *_directions(r"stage\.resnet2_2", "encoder2.0"),
        *_directions(r"stage\.resnet2_3", "encoder2.1"),
        *_directions(r"stage\.resnet(\d)_(\d)", "encoder{1}.{2-1}"),
        (r"stage\.hfrequency\.Hfrequencyfeature\.DWT_2D", None),
        (r"stage\.layer([1234])_4\.\d", "shortcuts.{1-1}.0"),
        (r"stage\.layer5_4\.(\d)", "gather.{1}"),
        *_branches(r"mlcl(\d)", "relations.{1-1}"),
        *_conv_bn(r"mlcl(\d)\.conv_cat", "relations.{1-1}.merge"),
        (r"mlcl\d\.conv_res\.(conv|bn)", None),
        (r"sbam(\d)\.hl_layer\.(\d)", "fusions.{1-1}.project.{2}"),
        (r"sbam(\d)\.concat_layer\.([01])", "fusions.{1-1}.align.0.{2}"),
        (r"sbam(\d)\.concat_layer\.3", "fusions.{1-1}.align.1.0"),
        (r"sbam(\d)\.concat_layer\.4", "fusions.{1-1}.align.1.1"),
        (r"layer\.(\d)", "head.{1}"),
    ]
    return rows


ROWS: dict[str, list[Row]] = {
    "ACM": [
        *_MODULATION,
        *_basic(r"uplayer(\d)\.(\d)", "decoder{1}.{2}"),
        *_fusions(r"fuse(\d)"),
    ],
    "ALCNet": [*_MODULATION, (r"uplayer\d\..*", None), *_fusions(r"fuse(\d)\d")],
    "MLCL-Net": _mlcl_net(),
    "ALCL-Net": _alcl_net(),
    "DNA-Net": _dna_net(),
    "GGL-Net": _ggl_net(),
    "UIU-Net": _uiu_net(),
    "MSDA-Net": _msda_net(),
}
