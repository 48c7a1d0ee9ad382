"""Where a model comes from."""

from __future__ import annotations

from pipeline.records.base import Record


class Source(Record):
    """The reference that a model was built by.

    Attributes:
        text: file and function (`towers.py:task`), a module and function, a `.keras` file or a registered name.
        sha256: what tells it from another file of that name: of its path as seen from the folder that this lies in, so
            that it is the same after a project was moved, and tells nobody where the project lies.
    """

    text: str
    sha256: str

    def other(self, found: Source | None) -> str | None:
        """What `found` is called beside this source; None where it is the same or not known."""
        if found is None or found.sha256 == self.sha256:
            return None
        return f"another {found.text}" if found.text == self.text else found.text

    def why_kept(self, found: Source | None) -> str | None:
        """Why a model of this source may not replace what is of `found`; None where that is the same or not known."""
        other = self.other(found)
        if other is None:
            return None
        return f"{other}: give this one a name of its own by --name NAME, or replace that one by --replace"
