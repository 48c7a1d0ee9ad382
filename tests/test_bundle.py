import json
import os
import zipfile

import numpy as np
import pytest

from pipeline import bundle
from pipeline.cases import GENERATOR_VERSION
from pipeline.errors import BadInput
from pipeline.records import AxisRule, Case, FileDigest, InputSpec, Signature, TensorSpec, Truth
from pipeline.store import digest
from pipeline.subsets import Reduced, reduced, seed_of
from tests.small_bundle import SIGNATURE, WIDTH, write_bundle, write_truth


@pytest.fixture
def folder(tmp_path):
    """A whole bundle."""
    return write_bundle(tmp_path / "views")


def reseal(folder, **changes):
    """Write the manifest again with `changes`, properly sealed: what an attacker would do."""
    bundle.write_manifest(folder, bundle.read_manifest(folder).model_copy(update=changes))


def failed(folder):
    """Names and details of the file checks that fail."""
    checks = bundle.check_files(folder, bundle.read_manifest(folder))
    return {check.name: check.detail for check in checks if not check.passed}


# --- the manifest


def test_a_whole_bundle_reads_and_its_files_hold(folder):
    """Every named file has a check, and none fails."""
    manifest = bundle.read_manifest(folder)
    checks = bundle.check_files(folder, manifest)
    assert [check.name for check in checks][:-1] == [f"file {name}" for name in sorted(manifest.files)]
    assert all(check.passed for check in checks)


def test_any_changed_byte_of_the_manifest_is_refused(folder):
    """The manifest can't list its own hash among the files, so it carries a seal."""
    path = folder / "manifest.json"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BadInput):
            bundle.read_manifest(folder)


def test_an_unsealed_manifest_is_refused(folder):
    """Taking the seal away is a change like any other."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seal": ""}))
    with pytest.raises(BadInput, match="seal does not fit"):
        bundle.read_manifest(folder)


@pytest.mark.parametrize("change", [{"format": 2}, {"colour": "red"}])
def test_an_unknown_format_or_field_is_refused(folder, change):
    """A reader refuses what it does not know."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=next(iter(change))):
        bundle.read_manifest(folder)


def test_a_missing_folder_and_a_folder_without_a_manifest_are_told_apart(tmp_path):
    """Both in one line that says what was expected."""
    with pytest.raises(BadInput, match="is not a folder"):
        bundle.read_manifest(tmp_path / "nothing")
    with pytest.raises(BadInput, match=r"is not a bundle: it holds no manifest\.json"):
        bundle.read_manifest(tmp_path)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "a\\b", "", ".", "./model.onnx", "a//b", "manifest.json", "x\0y"]
)
def test_a_path_that_is_not_plainly_inside_the_bundle_is_refused(folder, name):
    """Also when the seal is right."""
    reseal(folder, files={name: FileDigest(sha256="0" * 64, size=1)})
    with pytest.raises(BadInput, match="expected a plain path inside the bundle"):
        bundle.read_manifest(folder)


def test_a_link_that_leads_out_of_the_bundle_is_refused(folder, tmp_path):
    """A file, and a folder on the way to one."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    (folder / "inner").symlink_to(outside)
    reseal(folder, files={"inner/secret": digest(outside / "secret")})
    with pytest.raises(BadInput, match="leads out of the bundle"):
        bundle.read_manifest(folder)


def test_a_manifest_that_is_a_link_out_of_the_bundle_is_refused(folder, tmp_path):
    """As is one that leads to itself."""
    (folder / "manifest.json").rename(tmp_path / "elsewhere.json")
    (folder / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(BadInput, match="leads out of the bundle"):
        bundle.read_manifest(folder)


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000 + "b", "a\nb"])
def test_a_name_that_no_file_can_have_is_a_missing_file(folder, name):
    """Too long for the file system, or with a line break."""
    reseal(folder, files={name: FileDigest(sha256="0" * 64, size=1)})
    assert failed(folder)[f"file {name}"] == "missing"


@pytest.mark.parametrize("seal", ["", "0", "\u00e9" * 64])
def test_a_seal_of_another_length_is_refused(folder, seal):
    """An empty one would be found between any two bytes."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seal": seal}), encoding="utf-8")
    with pytest.raises(BadInput, match="seal does not fit"):
        bundle.read_manifest(folder)


@pytest.mark.parametrize("size", [-1, 1 << 50])
def test_an_absurd_size_is_refused(folder, size):
    """No file has a negative size or a petabyte."""
    reseal(folder, files={"model.onnx": FileDigest(sha256="0" * 64, size=size)})
    with pytest.raises(BadInput, match="a size of"):
        bundle.read_manifest(folder)


# --- the files


@pytest.mark.parametrize("name", ["model.onnx", "samples.npz", "README.md"])
def test_a_flipped_byte_anywhere_in_a_file_fails_its_check(folder, name):
    """First, middle and last byte."""
    whole = (folder / name).read_bytes()
    for place in (0, len(whole) // 2, len(whole) - 1):
        (folder / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert failed(folder)[f"file {name}"].startswith("sha256")


def test_a_truncated_file_fails_by_its_size(folder):
    """Without hashing it."""
    whole = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(whole[:-1])
    assert failed(folder) == {"file model.onnx": f"{len(whole) - 1} bytes, expected {len(whole)}"}


def test_a_missing_file_fails(folder):
    """Named in the manifest, absent on disk."""
    (folder / "samples.npz").unlink()
    assert failed(folder) == {"file samples.npz": "missing"}


def test_files_that_the_manifest_does_not_name_fail_but_measurements_may_come_later(folder):
    """Files, files in folders and links; what was timed lies outside the hashes."""
    (folder / "measurements.json").write_text("{}")
    assert failed(folder) == {}
    (folder / "deep").mkdir()
    (folder / "deep" / "evil.py").write_text("")
    (folder / "link").symlink_to(folder.parent)
    assert failed(folder) == {"no other files": "not in the manifest: deep/evil.py, link"}


# --- the frozen truth


def test_frozen_cases_carry_inputs_and_both_answers(folder):
    """The float64 reference covers float outputs; integers and booleans have one answer."""
    cases = bundle.read_cases(folder / "samples.npz", bundle.read_truth(folder))
    assert [case.case.batch for case in cases] == [1, 3]
    assert cases[1].inputs["left"].shape == (3, WIDTH)
    assert set(cases[1].float32) == {"joined", "is_larger"}
    assert cases[1].float64 is not None
    assert cases[1].float64["joined"].dtype == np.float64


def samples(folder, truth, change):
    """The truth with an archive whose arrays went through `change`, as if it had been frozen that way."""
    path = folder / "samples.npz"
    with np.load(path) as archive:
        arrays = change(dict(archive))
    np.savez(path, **arrays)
    return path, truth.model_copy(update={"samples": digest(path)})


def test_a_missing_member_is_refused(tmp_path):
    """Each array that the record promises must be there."""

    def change(arrays):
        del arrays["random3/f64/joined"]
        return arrays

    path, truth = samples(tmp_path, write_truth(tmp_path), change)
    with pytest.raises(BadInput, match="holds no 'random3/f64/joined'"):
        bundle.read_cases(path, truth)


def test_a_member_of_another_batch_is_refused(tmp_path):
    """The shape has to be the recorded one at the case's batch."""
    path, truth = samples(tmp_path, write_truth(tmp_path), lambda a: a | {"random3/in/left": a["random1/in/left"]})
    with pytest.raises(BadInput, match=r"has shape \(1, 4\), expected \(3, 4\)"):
        bundle.read_cases(path, truth)


class Bomb:
    """Unpickling this makes a file."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def test_a_pickle_in_the_archive_is_refused_and_never_run(tmp_path, monkeypatch):
    """Code in an archive must not run."""
    monkeypatch.chdir(tmp_path)
    bomb = np.array([Bomb()], dtype=object)
    path, truth = samples(tmp_path, write_truth(tmp_path), lambda a: a | {"random1/in/left": bomb})
    with pytest.raises(BadInput, match="holds no plain numbers"):
        bundle.read_cases(path, truth)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut off"])
def test_an_archive_that_is_none_is_refused(tmp_path, content):
    """Even if its hash is the recorded one."""
    truth = write_truth(tmp_path)
    path = tmp_path / "samples.npz"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="can't be read as an archive of arrays"):
        bundle.read_cases(path, truth.model_copy(update={"samples": digest(path)}))


def test_an_archive_other_than_the_frozen_one_is_refused(tmp_path):
    """One changed byte is enough."""
    truth = write_truth(tmp_path)
    path = tmp_path / "samples.npz"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BadInput, match="is not the archive that was frozen"):
        bundle.read_cases(path, truth)


def test_an_archive_that_would_unpack_to_gigabytes_is_refused(tmp_path):
    """Before a byte of it is unpacked."""
    truth = write_truth(tmp_path)
    path = tmp_path / "samples.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("big.npy", "w") as member:
        for _ in range(17):
            member.write(bytes(1 << 26))
    with pytest.raises(BadInput, match="would unpack to"):
        bundle.read_cases(path, truth.model_copy(update={"samples": digest(path)}))


def drawn(folder, signature=SIGNATURE, **changes):
    """A truth whose first case is drawn again, and has `changes`."""
    truth = write_truth(folder)
    case = truth.cases[0].model_copy(update={"seed": 0, "inputs_sha256": "0" * 64, **changes})
    return truth.model_copy(update={"cases": (case,), "generator": GENERATOR_VERSION, "signature": signature})


@pytest.mark.parametrize(
    ("changes", "shape"),
    [({"batch": 10**9}, ("batch", WIDTH)), ({"kind": "longest"}, ("batch", 10**12)), ({}, (2**62,))],
)
def test_inputs_to_draw_are_counted_before_they_are_drawn(tmp_path, changes, shape):
    """A record of some bytes must not fill the memory."""
    inputs = (SIGNATURE.inputs[0].model_copy(update={"shape": shape}),)
    truth = drawn(tmp_path, SIGNATURE.model_copy(update={"inputs": inputs}), **changes)
    with pytest.raises(BadInput, match="brings the inputs to draw to"):
        bundle.read_cases(tmp_path / "samples.npz", truth)


def test_a_signature_for_which_nothing_can_be_drawn_is_one_line(tmp_path):
    """More axes than numpy has."""
    inputs = (SIGNATURE.inputs[0].model_copy(update={"shape": (1,) * 100}),)
    truth = drawn(tmp_path, SIGNATURE.model_copy(update={"inputs": inputs}))
    with pytest.raises(BadInput, match="can't be drawn"):
        bundle.read_cases(tmp_path / "samples.npz", truth)


def test_two_cases_of_one_key_are_refused(tmp_path):
    """They would multiply what is held."""
    truth = write_truth(tmp_path)
    with pytest.raises(BadInput, match="two cases of one key"):
        bundle.read_cases(tmp_path / "samples.npz", truth.model_copy(update={"cases": truth.cases[:1] * 2}))


def test_without_a_float64_clone_there_is_no_float64_answer(tmp_path):
    """The record says why, and the reference is float32; a record that says so beside such answers is refused."""
    truth = write_truth(tmp_path).model_copy(update={"no_float64": "a custom layer"})
    path = tmp_path / "samples.npz"
    with pytest.raises(BadInput, match="says that there is no float64 reference"):
        bundle.read_cases(path, truth)
    with np.load(path) as archive:
        left = {key: archive[key] for key in archive.files if "/f64/" not in key}
    np.savez_compressed(path, **left)
    found = bundle.read_cases(path, truth.model_copy(update={"samples": digest(path)}))
    assert all(case.float64 is None for case in found)


def test_a_reduced_answer_is_read_and_one_that_lacks_a_part_is_refused(tmp_path):
    """Its parts lie beside each other, and its shape is looked at as that of a whole one is."""
    truth = write_truth(tmp_path)
    path = tmp_path / "samples.npz"
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    for group in ("f32", "f64"):
        whole = arrays.pop(f"random3/{group}/joined")
        kept = reduced(whole, seed_of("random3", "joined"))
        arrays |= {f"random3/{group}.{part}/joined": array for part, array in kept.arrays().items()}
    np.savez_compressed(path, **arrays)
    case = bundle.read_cases(path, truth.model_copy(update={"samples": digest(path)}))[1]
    assert isinstance(case.float64["joined"], Reduced)
    assert np.array_equal(case.float64["joined"].of(whole), case.float64["joined"].values)
    for change, why in (
        ({"random3/f64.sums/joined": None}, "goes with its others"),
        ({"random3/f64.shape/joined": np.array([1, 3, 3])}, "has shape"),
        ({"random3/f64.values/joined": np.zeros(1)}, "its parts have"),
        ({"random3/f64.extremes/joined": np.zeros(2, np.int64)}, "are not told of alike"),
        ({"random3/f64/joined": whole}, "are not told of alike"),
        ({"random3/f64.sums/joined": np.zeros(9, np.float32)}, "of other kinds"),
    ):
        spoilt = {key: value for key, value in (arrays | change).items() if value is not None}
        np.savez_compressed(path, **spoilt)
        with pytest.raises(BadInput, match=why):
            bundle.read_cases(path, truth.model_copy(update={"samples": digest(path)}))


@pytest.mark.parametrize(("key", "array"), [("open/joined", np.zeros(1, bool)), ("noise/joined", np.array([-1.0] * 3))])
def test_what_goes_with_an_answer_has_to_fit_it(tmp_path, key, array):
    """Bits for each element, and no noise below nothing."""
    truth = write_truth(tmp_path)
    path = tmp_path / "samples.npz"
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez_compressed(path, **arrays, **{f"random3/{key}": array})
    with pytest.raises(BadInput, match="does not fit the answer"):
        bundle.read_cases(path, truth.model_copy(update={"samples": digest(path)}))


# --- feeds


def feed(rows=2, **others):
    """A feed that fits, with some arrays replaced."""
    return {spec.name: np.zeros((rows, WIDTH), np.float32) for spec in SIGNATURE.inputs} | others


def test_a_feed_that_fits_comes_back_in_input_order():
    """Whatever order the caller used."""
    given = dict(reversed(feed().items()))
    assert list(bundle.check_feed(SIGNATURE.inputs, given)) == ["left", "right"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"left": feed()["left"]}, "input 'right' is missing"),
        (feed(rihgt=0), "there is no input 'rihgt'; did you mean 'right'"),
        (feed(left=np.zeros((2, WIDTH))), "'left' has dtype float64, expected float32"),
        (feed(left=np.zeros((2, WIDTH), ">f4")), "foreign byte order"),
        (feed(left=np.zeros((2, WIDTH), np.int32)), "'left' has dtype int32, expected float32"),
        (feed(left=[[1.0, 2.0], [3.0]]), "'left' is not an array"),
        (feed(left=None), "'left' has dtype object"),
        (feed(left=np.zeros((2, 5), np.float32)), r"'left' has shape \(2, 5\), expected \(batch, 4\)"),
        (feed(left=np.zeros(WIDTH, np.float32)), r"'left' has shape \(4\), expected \(batch, 4\)"),
        (feed(left=np.zeros((1, WIDTH), np.float32)), "axis 'batch' is 1 in 'left' and 2 in 'right'"),
        (feed(rows=0), "'left' has an empty batch"),
    ],
)
def test_a_feed_that_does_not_fit_is_refused_in_one_line(given, message):
    """Names, dtypes, shapes, axes that should agree, an empty batch."""
    with pytest.raises(BadInput, match=message) as refusal:
        bundle.check_feed(SIGNATURE.inputs, given)
    assert "\n" not in str(refusal.value)


def test_axes_of_one_name_within_one_input_must_agree():
    """An attention bias is square."""
    spec = TensorSpec(name="bias", shape=("time", "time"), dtype="float32")
    with pytest.raises(BadInput, match="axis 'time' is 2 in 'bias' and 3 in 'bias'"):
        bundle.check_feed((spec,), {"bias": np.zeros((2, 3), np.float32)})


IDS = InputSpec(name="ids", shape=("batch", "time"), dtype="int32", ids_below=9)
TABLE = AxisRule(most=32, reason="the table 'positions' has 32 rows")


@pytest.mark.parametrize(
    ("rule", "size", "refusal"),
    [
        (TABLE, 33, "it must be at most 32, because the table 'positions' has 32 rows"),
        (TABLE, 0, "it must be 1 at least"),
        (AxisRule(multiple=4), 6, "it must be a multiple of 4"),
        (AxisRule(least=9, multiple=4, most=64), 8, "it must be a multiple of 4, at least 9, at most 64"),
        (AxisRule(multiple=8, remainder=4), 8, "it must be 4 more than a multiple of 8"),
        (AxisRule(least=5, most=5), 4, "it must be exactly 5"),
        (AxisRule(least=5, multiple=8, most=15), 16, "it must be exactly 8"),
    ],
)
def test_a_size_that_the_model_does_not_take_is_refused_with_the_reason(rule, size, refusal):
    """The axis, the input, the size that came, and which sizes do."""
    with pytest.raises(BadInput) as refused:
        bundle.check_feed((IDS,), {"ids": np.zeros((2, size), np.int32)}, {"time": rule})
    assert str(refused.value) == f"axis 'time' of input 'ids' is {size}: {refusal}"


@pytest.mark.parametrize(
    ("rule", "sizes"),
    [
        (TABLE, (1, 32)),
        (AxisRule(least=9, multiple=4, most=64), (12, 64)),
        (AxisRule(least=92, multiple=8, remainder=4), (92, 100)),
        (AxisRule(), (1, 1000)),
    ],
)
def test_the_sizes_that_a_rule_admits_are_fed(rule, sizes):
    """The first and the last of them."""
    for size in sizes:
        bundle.check_feed((IDS,), {"ids": np.zeros((2, size), np.int32)}, {"time": rule})


def test_a_rule_that_admits_no_size_is_no_rule():
    """No multiple of 8 lies between 9 and 15; no id between 5 and 5."""
    with pytest.raises(ValueError, match="no size is a multiple of 8, at least 9, at most 15"):
        AxisRule(least=9, multiple=8, most=15)
    with pytest.raises(ValueError, match="nothing leaves 8 when it is divided by 8"):
        AxisRule(multiple=8, remainder=8)
    with pytest.raises(ValueError, match="ids from 5 and below 5"):
        InputSpec(name="ids", shape=(2,), dtype="int32", ids_below=5, ids_from=5)


def test_rules_are_written_where_there_are_some_and_nowhere_else():
    """What a reader of before knows stays as it was."""
    plain = Signature(inputs=(IDS,), outputs=())
    assert not {"axes", "ids_from"} & set(json.dumps(plain.model_dump()).replace('"', " ").split())
    ruled = plain.model_copy(update={"axes": {"time": TABLE}})
    assert Signature.model_validate_json(ruled.model_dump_json()) == ruled
    assert Signature.model_validate_json(plain.model_dump_json()).axes == {}


def test_a_case_of_a_static_batch_reads(tmp_path):
    """A batch axis may be a number."""
    signature = Signature(inputs=(InputSpec(name="x", shape=(2, 3), dtype="float32"),), outputs=SIGNATURE.outputs[:0])
    np.savez(tmp_path / "samples.npz", **{"a/in/x": np.zeros((2, 3), np.float32)})
    truth = Truth(
        signature=signature,
        cases=(Case(key="a", kind="random", batch=2),),
        budgets=(),
        samples=digest(tmp_path / "samples.npz"),
    )
    assert bundle.read_cases(tmp_path / "samples.npz", truth)[0].inputs["x"].shape == (2, 3)


def test_only_a_bundle_may_be_replaced_by_one(tmp_path):
    """A web application's manifest.json is no bundle's, and a note laid into a bundle would be lost."""
    folder = write_bundle(tmp_path / "views")
    assert bundle.why_no_bundle(folder) is None
    (folder / "NOTES.txt").write_text("mine")
    assert bundle.why_no_bundle(folder) == "it also holds NOTES.txt, which is not the bundle's"
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text('{"name": "an extension"}')
    assert bundle.why_no_bundle(tmp_path / "web") == "its manifest.json is not a bundle's"
    assert "no manifest.json" in (bundle.why_no_bundle(tmp_path) or "")
