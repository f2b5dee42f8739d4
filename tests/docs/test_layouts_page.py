"""The page of layouts: its table is that of the code."""

from pathlib import Path

from festkit.data.layouts import LAYOUTS

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "layouts.md"


def table():
    """The table of the page, sorted by code; layouts without one come last."""
    lines = ["| | layout | images | masks or labels | lists |", "|:--|:--|:--|:--|:--|"]
    for layout in sorted(LAYOUTS, key=_place):
        cells = (_patterns(layout.images), _patterns(layout.masks), _patterns(layout.lists))
        roots = ", ".join(f"`{root}/`" for root in layout.roots if root)
        name = f"{layout.name}, in {roots}" if roots else layout.name
        lines.append(f"| {layout.code} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _place(layout):
    return not layout.code, layout.code[:1], int(layout.code[1:] or 0)


def _patterns(kind):
    groups = [kind] if isinstance(kind, tuple) else kind.values()
    names = [pattern.removesuffix("{name}") or "./" for group in groups for pattern in group]
    return ", ".join(f"`{name}`" for name in names)


def test_the_table_is_that_of_the_code():
    assert table() in PAGE.read_text(encoding="utf-8"), f"put this into {PAGE}:\n\n{table()}"
