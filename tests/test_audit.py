import os
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console

from pipeline.audit import audit, render
from pipeline.errors import BadInput
from tests.small_bundle import onnx_model

FLOAT = TensorProto.FLOAT


def saved(path, nodes, initializers=(), **options):
    """Write a model `x -> y` of these nodes; gives its path."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        list(initializers),
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9, **options), path)
    return path


def tensor(name, *shape, dtype=np.float32):
    """An initializer of consecutive numbers."""
    return numpy_helper.from_array(np.arange(np.prod(shape)).reshape(shape).astype(dtype), name)


def readers(report):
    """Readers by name of the stored tensor."""
    return {use.name: use.readers for use in report.initializers}


def test_a_shared_weight_is_stored_once_with_both_readers(tmp_path):
    """Largest first, bytes counted once."""
    onnx.save(onnx_model(), tmp_path / "m.onnx")
    report = audit(tmp_path / "m.onnx")
    assert readers(report) == {"dense/kernel": ("dense", "dense_call_2"), "dense/bias": ("dense", "dense_call_2")}
    assert [use.size for use in report.initializers] == [48, 12]
    assert report.stored == 60


def branch(name, weight, reads):
    """A branch of an If that adds its own weight and one from outside."""
    nodes = [helper.make_node("Add", [reads, weight], [f"{name}_out"], name="add")]
    out = [helper.make_tensor_value_info(f"{name}_out", FLOAT, None)]
    return helper.make_graph(nodes, name, [], out, [tensor(weight, 4)])


def test_bodies_of_control_flow_are_seen_through(tmp_path):
    """Each branch has a weight of its own, of one name, and both read one from outside."""
    node = helper.make_node(
        *("If", ["yes"], ["y"]),
        name="if",
        then_branch=branch("then", "w", "outer"),
        else_branch=branch("else", "w", "outer"),
    )
    yes = numpy_helper.from_array(np.array(True), "yes")
    report = audit(saved(tmp_path / "m.onnx", [node], [yes, tensor("outer", 4)]))
    found = sorted((use.name, use.size, sorted(use.readers)) for use in report.initializers)
    assert found == [
        ("outer", 16, ["if/else_branch/add", "if/then_branch/add"]),
        ("w", 16, ["if/else_branch/add"]),
        ("w", 16, ["if/then_branch/add"]),
        ("yes", 1, ["if"]),
    ]


def test_a_name_inside_a_body_hides_an_outer_initializer(tmp_path):
    """A Loop's own input `w` is not the initializer `w`."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["w_out"]), helper.make_node("Identity", ["go"], ["go_out"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w_out", FLOAT, None),
        ],
    )
    node = helper.make_node("Loop", ["n", "", "x"], ["y"], name="loop", body=body)
    report = audit(saved(tmp_path / "m.onnx", [node], [tensor("n", dtype=np.int64), tensor("w", 4)]))
    assert readers(report) == {"n": ("loop",), "w": ()}


def test_tensors_of_functions_and_constants_count_as_stored(tmp_path):
    """Under the name of the node's output, in the function that holds it."""
    constant = helper.make_node("Constant", [], ["c"], value=tensor("", 4))
    add = helper.make_node("Add", ["a", "c"], ["b"], name="add")
    function = helper.make_function("own", "AddFour", ["a"], ["b"], [constant, add], [helper.make_opsetid("", 18)])
    nodes = [
        helper.make_node("AddFour", ["x"], ["t"], domain="own"),
        helper.make_node("Constant", [], ["two"], value_floats=[1.0, 2.0]),
        helper.make_node("Mul", ["t", "two"], ["y"], name="mul"),
    ]
    report = audit(saved(tmp_path / "m.onnx", nodes, functions=[function]))
    assert readers(report) == {"c": ("AddFour/add",), "two": ("mul",)}
    assert report.stored == 16 + 8


def test_an_initializer_that_nobody_reads_is_found(tmp_path):
    """And one that is an output is read."""
    node = helper.make_node("Identity", ["x"], ["t"])
    report = audit(saved(tmp_path / "m.onnx", [node], [tensor("y", 2), tensor("lost", 3)]))
    assert [use.name for use in report.unread] == ["lost"]
    assert readers(report)["y"] == ("output y",)


def test_external_data_is_counted_and_must_be_there(tmp_path):
    """Its bytes lie beside the file, and are missed when they are gone or cut off."""
    path = tmp_path / "m.onnx"
    onnx.save(onnx_model(), path, save_as_external_data=True, location="m.data", size_threshold=0)
    assert audit(path).stored == 60
    data = tmp_path / "m.data"
    data.write_bytes(data.read_bytes()[:20])
    with pytest.raises(BadInput, match="was cut off"):
        audit(path)
    data.unlink()
    with pytest.raises(BadInput, match="is missing"):
        audit(path)


def test_sparse_and_packed_tensors_count_what_they_store(tmp_path):
    """A sparse tensor its values and indices, int4 half a byte an element."""
    sparse = helper.make_sparse_tensor(tensor("s", 2), tensor("i", 2, dtype=np.int64), [100])
    four = helper.make_tensor("four", TensorProto.INT4, [5], np.array([1, 2, 3, 4, 5]))
    path = saved(tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])], [four])
    model = onnx.load(path)
    model.graph.sparse_initializer.append(sparse)
    onnx.save(model, path)
    assert {use.name: use.size for use in audit(path).initializers} == {"s": 2 * 4 + 2 * 8, "four": 3}


@pytest.mark.parametrize("content", [b"", b"hello, this is no model", b"\x00" * 10, b"\x08\x07"])
def test_a_file_that_is_no_onnx_is_refused(tmp_path, content):
    """Empty, text, zeros, and a message without a graph."""
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is not an ONNX file"):
        audit(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    """In one line each."""
    with pytest.raises(BadInput, match="No such file"):
        audit(tmp_path / "m.onnx")
    with pytest.raises(BadInput, match="Is a directory"):
        audit(tmp_path)


def test_the_table_shows_bytes_and_readers_largest_first(tmp_path):
    """As text, names with brackets included."""
    node = helper.make_node("Add", ["x", "tower[0]/w"], ["y"], name="add")
    report = audit(saved(tmp_path / "m.onnx", [node], [tensor("lost", 2), tensor("tower[0]/w", 4)]))
    console = Console(width=120, record=True)
    console.print(render(report))
    text = console.export_text()
    assert "24 bytes in 2 initializers, 0 of them read by several nodes, 1 read by no node" in " ".join(text.split())
    assert text.index("tower[0]/w") < text.index("lost")
    assert "nobody" in text


def raw(name, dims, **fields):
    """A tensor of these dims, true or not."""
    made = TensorProto(name=name, data_type=FLOAT, dims=dims)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


@pytest.mark.parametrize(
    "dims", [[1 << 40, 1 << 10], [1 << 62, 1 << 62], [1 << 62] * 1000, [-4], [-2, -2], [5], [1 << 28]]
)
@pytest.mark.parametrize("fields", [{}, {"raw_data": bytes(16)}])
def test_a_tensor_that_holds_less_than_its_shape_says_is_refused(tmp_path, dims, fields):
    """Nothing of that size is counted, multiplied out or allocated."""
    path = saved(tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])], [raw("w", dims, **fields)])
    with pytest.raises(BadInput, match="the file is damaged"):
        audit(path)


def outside(location, **entries):
    """A tensor that lies in another file."""
    made = raw("w", [4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        made.external_data.add(key=key, value=value)
    return made


@pytest.mark.parametrize(
    ("location", "entries", "message"),
    [
        ("/etc/passwd", {}, "outside of its folder"),
        ("../secret", {}, "outside of its folder"),
        ("a/../../secret", {}, "outside of its folder"),
        ("link", {}, "outside of its folder"),
        ("pipe", {}, "is missing"),
        ("", {}, "is missing"),
        ("a\0b", {}, "is missing"),
        ("x" * 5000, {}, "is missing"),
        ("data", {"offset": "²"}, "no place in a file"),
        ("data", {"offset": "9" * 5000}, "no place in a file"),
        ("data", {"offset": "-1"}, "no place in a file"),
        ("data", {"offset": "9" * 19}, "was cut off"),
    ],
)
def test_external_data_is_plainly_inside_the_folder(tmp_path, location, entries, message):
    """A single tensor too, which nothing is compared with."""
    (tmp_path / "secret").write_bytes(bytes(64))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "data").write_bytes(bytes(64))
    (folder / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe")
    path = saved(folder / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])], [outside(location, **entries)])
    with pytest.raises(BadInput, match=message):
        audit(path)


def test_names_that_are_no_text_are_refused(tmp_path):
    """Protobuf gives bytes for them."""
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_model().SerializeToString().replace(b"dense/kernel", b"dense/\xffernel"))
    with pytest.raises(BadInput, match="no text in UTF-8"):
        audit(path)


def test_a_pipe_and_a_file_too_large_for_the_format_are_refused_unread(tmp_path):
    """The first would be waited for, the second fill the memory."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="Not a regular file"):
        audit(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(1 << 36)
    with pytest.raises(BadInput, match="the format ends at"):
        audit(tmp_path / "large")
    with pytest.raises(BadInput, match=r"null (byte|character)"):
        audit(tmp_path / "a\0b")


def test_a_file_of_many_bodies_is_read_in_time_that_grows_with_it(tmp_path):
    """Names from outside are looked up, not copied into each body."""
    bodies = [helper.make_node("If", ["yes"], [f"y{i}"], then_branch=branch("t", "w", "w0")) for i in range(3000)]
    path = saved(tmp_path / "m.onnx", bodies, [tensor(f"w{i}", 2) for i in range(20_000)])
    began = time.perf_counter()
    assert len(audit(path).initializers) == 23_000
    assert time.perf_counter() - began < 10
