import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import BadInput
from pipeline.models import registry


def test_the_three_models_are_registered() -> None:
    """The names that the command line takes."""
    assert registry.names() == ("two_branch", "siamese", "seq2seq")


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    """A typing error is answered with what was meant."""
    expected = "model 'siamse' is not registered; did you mean 'siamese'? (shared-layers list shows all)"
    with pytest.raises(BadInput) as refusal:
        registry.task_of("siamse")
    assert str(refusal.value) == expected


def test_a_name_like_no_other_is_refused_with_the_kinds_of_reference() -> None:
    """Where no name is near, the message says what a reference may be."""
    assert "file.py:function" in str(registry.unknown("zzz"))


def test_a_data_file_is_refused_by_a_model_that_has_its_own() -> None:
    """`--data` is for siamese; elsewhere it would be ignored in silence."""
    with pytest.raises(BadInput, match=r"'two_branch' takes no --data.*siamese"):
        registry.task_of("two_branch", Path("mnist.npz"))


def test_the_source_of_a_registered_model_is_its_own_module() -> None:
    """Touching one model's source makes that model stale, and no other."""
    assert [path.name for name in registry.names() for path in registry.sources_of(name)] == [
        "two_branch.py",
        "siamese.py",
        "seq2seq.py",
    ]


def test_listing_names_and_sources_imports_no_keras() -> None:
    """`shared-layers list` and the hash of a stamp must not wait for Keras."""
    code = (
        "import sys; from pipeline.models import registry; import pipeline.models.task;"
        "[registry.sources_of(name) for name in registry.names()];"
        "sys.exit(any(name in sys.modules for name in ('keras', 'tensorflow', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
