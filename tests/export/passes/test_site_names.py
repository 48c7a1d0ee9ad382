"""What users read of call sites."""

from __future__ import annotations

from pipeline.export.passes.site_names import SCOPE, with_call_sites


def test_a_message_says_the_call_site_in_place_of_a_node() -> None:
    """The innermost scope counts, and what stands around it stays."""
    text = f"Svd (functional_1/{SCOPE}0/sub/{SCOPE}1/Svd): no formula; op [a/{SCOPE}0/b: Foo] is not supported"
    said = "Svd (call site 'sub/decompose'): no formula; op [call site 'sub': Foo] is not supported"
    assert with_call_sites(text, ["sub", "sub/decompose"]) == said
