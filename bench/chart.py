"""Bars of tokens a second, one group a workload, as an SVG that needs no library to draw."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WIDTH, _ROW, _LEFT, _RIGHT = 760, 24, 230, 90


def draw_bars(workloads: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the chart; ours stand out, whiskers show the slowest and the fastest round."""
    rows: list[str] = []
    top = 10
    for name, summary in workloads.items():
        systems = sorted(summary["systems"], key=lambda system: -system["tokens_per_s"])
        most = max((system["high"] for system in systems), default=1)
        rows.append(f'<text x="10" y="{top + 16}" font-weight="bold">{escape(name)}</text>')
        top += _ROW
        for system in systems:
            rows.append(_bar(system, top, (_WIDTH - _LEFT - _RIGHT) / most))
            top += _ROW
        top += _ROW // 2
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>'
    )
    path.write_text("\n".join([head, *rows, "</svg>"]))


def _bar(system: Mapping[str, Any], top: int, scale: float) -> str:
    colour = "#2a6fb0" if system["name"] == "personalm" else "#b9c2cc"
    middle, length = top + _ROW // 2, system["tokens_per_s"] * scale
    low, high = _LEFT + system["low"] * scale, _LEFT + system["high"] * scale
    return (
        f'<text x="{_LEFT - 8}" y="{middle + 4}" text-anchor="end">'
        f"{escape(system['name'])} {escape(system['dtype'])}</text>"
        f'<rect x="{_LEFT}" y="{top + 3}" width="{length:.1f}" height="{_ROW - 7}" '
        f'fill="{colour}"/>'
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="black"/>'
        f'<text x="{high + 6:.1f}" y="{middle + 4}">{system["tokens_per_s"]:.0f} tokens/s</text>'
    )
