"""Draw which room of festkit imports which: ``python docs/imports.py`` writes docs/imports.svg."""

import ast
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

DOCS = Path(__file__).parent
KIT = DOCS.parent / "festkit"
ROOMS = """_support ops data scenes backbones classical losses fusion sensitivity metrics surface
model weights training pretrained fest runtime inference jobs tables plots evaluation tuner
zoo cli""".split()  # noqa: SIM905


def imports(room: str) -> set[str]:
    """The other rooms that a room imports, at the top of its files or later."""
    alone = KIT / f"{room}.py"
    used = set()
    for path in [alone] if alone.is_file() else (KIT / room).rglob("*.py"):
        depth = len(path.relative_to(KIT).parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == depth:
                names = [node.module] if node.module else [alias.name for alias in node.names]
                used |= {name.partition(".")[0] for name in names}
    return (used & set(ROOMS)) - {room}


def draw() -> Figure:
    """A dot where the room of a row imports the room of a column.

    Rooms stand from the bottom of the kit up, so every dot lies below the diagonal; one above it,
    in red, would be an import upward.
    """
    figure, axes = plt.subplots(figsize=(6.5, 6), layout="constrained")
    dots = [(ROOMS.index(room), ROOMS.index(other)) for room in ROOMS for other in imports(room)]
    for row, column in dots:
        axes.plot(column, row, "o", color="tab:red" if column > row else "tab:blue")
    axes.plot([0, len(ROOMS) - 1], [0, len(ROOMS) - 1], color="0.8", zorder=0)
    axes.set_xticks(range(len(ROOMS)), ROOMS, rotation=90)
    axes.set_yticks(range(len(ROOMS)), ROOMS)
    axes.set(xlabel="is imported", ylabel="imports", title=f"{len(dots)} imports between rooms")
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    plt.rcParams["svg.hashsalt"] = "festkit"  # equal imports, equal file
    draw().savefig(DOCS / "imports.svg", metadata={"Date": None})
