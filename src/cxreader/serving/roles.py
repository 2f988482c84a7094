"""Who may do what: roles of people, and the scopes that roles and API tokens hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Role = Literal["admin", "reader", "auditor"]
"""The one that may do most comes first."""
Scope = Literal["upload", "read", "verdict", "export", "metrics", "admin", "audit"]

SCOPES: Mapping[str, frozenset[Scope]] = {
    "reader": frozenset({"upload", "read", "verdict"}),
    "admin": frozenset({"upload", "read", "verdict", "export", "metrics", "admin"}),
    "auditor": frozenset({"audit", "metrics"}),
}
"""What each role may do. An auditor sees who did what, and no patient."""
SHOWING: frozenset[Scope] = frozenset({"read", "verdict", "export"})
"""Scopes that show something of patients or results: a silent service grants none of them."""
