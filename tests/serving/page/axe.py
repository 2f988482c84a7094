"""What axe, the accessibility checker, finds wrong on a page."""

from __future__ import annotations

from typing import Any

import pytest


def violations(page: Any) -> list[str]:
    """Rule and first places of each violation on the page as it stands, once its style sheets are there.

    A page that is still loading has no styles yet: what they hide is visible then, in the browser's own colours.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.wait_for_load_state("load")
    found = axe.run(page).response["violations"]
    return [f"{one['id']}: {[node['html'][:160] for node in one['nodes']]}" for one in found]
