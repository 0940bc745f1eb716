"""Exported C: strict compilers take it, memory is shared and enough, labels are data."""

import re
import subprocess

import numpy as np
import pytest
import torch
from exported import FAMILIES, HOSTILE, answers, build, built, compiled
from torch import nn

from netwright.export import export_c, run_c
from netwright.export.c_memory import plan_memory
from netwright.export.c_source import c_source, text_in_c
from netwright.export.c_steps import scratch_of
from netwright.export.lowering import program_of
from netwright.export.program import KINDS

MAIN = """
#include <stdio.h>
{include}
int main(void)
{{
    static float x[NETWRIGHT_INPUTS], y[NETWRIGHT_OUTPUTS];
    if (fread(x, sizeof *x, NETWRIGHT_INPUTS, stdin) != NETWRIGHT_INPUTS)
        return 1;
    netwright_outputs(x, y);
    return fwrite(y, sizeof *y, NETWRIGHT_OUTPUTS, stdout) != NETWRIGHT_OUTPUTS;
}}
"""


def test_a_header_is_all_that_a_program_includes(tmp_path):
    architecture = FAMILIES["conv-net"]
    network = built(architecture)
    export_c(network, architecture.input_shape, tmp_path / "net.h", labels=["a", "b"])
    # Twice: the second time must not count.
    source = MAIN.format(include='#include "net.h"\n#include "net.h"')
    (tmp_path / "main.c").write_text(source)
    build(tmp_path / "main.c", "-o", tmp_path / "main", "-lm")
    x = torch.randn(1, *architecture.input_shape)
    done = subprocess.run([tmp_path / "main"], input=x.numpy().tobytes(), capture_output=True)
    found = np.frombuffer(done.stdout, dtype=np.float32)
    np.testing.assert_allclose(found, answers(network, x)[0], atol=1e-5)


@pytest.mark.parametrize("family", ["conv", "recurrent", "transformer"])
def test_working_memory_may_be_static_and_nothing_lies_outside_it(family, tmp_path):
    architecture = FAMILIES[family]
    network, source = built(architecture), tmp_path / "net.c"
    export_c(network, architecture.input_shape, source)
    x = torch.randn(4, *architecture.input_shape)
    expected = answers(network, x)
    found = compiled(source, x, expected.shape[1:], more=["-DNETWRIGHT_STORAGE=static"])
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    # The address sanitiser ends a program that reads or writes beside an array.
    (tmp_path / "main.c").write_text(MAIN.format(include='#include "net.c"'))
    build("-fsanitize=address,undefined", "-fno-sanitize-recover", tmp_path / "main.c", "-o", tmp_path / "main", "-lm")  # fmt: skip
    done = subprocess.run([tmp_path / "main"], input=x[:1].numpy().tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(
        np.frombuffer(done.stdout, dtype=np.float32),
        expected[0].ravel(),
        atol=1e-5 * max(1, np.abs(expected).max()),
    )


def test_labels_are_data(tmp_path):
    source = export_c(nn.Linear(3, 10), (3,), tmp_path / "net.c", labels=HOSTILE)
    text = source.read_text()
    # Whatever a label holds, in the file it is letters, digits, plain marks and numbers in octal.
    (line,) = [line for line in text.splitlines() if "labels[] = " in line]
    literals = re.findall(r'"((?:[A-Za-z0-9 _.,:-]|\\[0-7]{3})*)"', line)
    assert len(literals) == len(HOSTILE)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "net.c"\nint main(void) { for (int i = 0; i < 11; i++) '
        'printf("%s|", netwright_label(i) ? netwright_label(i) : "NULL"); return 0; }'
    )
    build(tmp_path / "main.c", "-o", tmp_path / "main", "-lm")
    said = subprocess.run([tmp_path / "main"], capture_output=True).stdout.split(b"|")
    expected = [label.encode("utf-8", "replace").partition(b"\x00")[0] for label in HOSTILE]
    assert said[:10] == expected
    assert said[10] == b"NULL"


def test_a_label_of_any_length_is_taken(tmp_path):
    long = "é" * 3000
    source = export_c(nn.Linear(3, 2), (3,), tmp_path / "net.c", labels=[long, "b"])
    build("-c", source, "-o", tmp_path / "net.o")
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "net.c"\nint main(void) { puts(netwright_label(0)); return 0; }'
    )
    build(tmp_path / "main.c", "-o", tmp_path / "main", "-lm")
    said = subprocess.run([tmp_path / "main"], capture_output=True).stdout
    assert said == f"{long}\n".encode()


def test_a_text_is_spelled_so_that_a_compiler_reads_it_again():
    assert text_in_c('a"1') == '"a\\0421"'


def test_values_that_are_not_alive_together_share_memory():
    layers = [part for _ in range(6) for part in (nn.Linear(16, 16), nn.Tanh())]
    program = program_of(nn.Sequential(*layers, nn.Linear(16, 2)), (16,))
    # What a layer reads and what it makes; activations are changed in place, outputs lie with the caller.
    assert plan_memory(program, scratch_of(program)).size == 32


def test_values_that_are_alive_together_do_not_overlap():
    for architecture in FAMILIES.values():
        program = program_of(built(architecture), architecture.input_shape)
        memory = plan_memory(program, scratch_of(program))
        assert max(memory.places.values(), default=0) < max(memory.size, 1)


def test_names_of_parameters_cannot_name_code(tmp_path):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_parameter('w"]; int x = 1; //', nn.Parameter(torch.eye(3)))
            self.register_parameter("w___ int x _ 1_ __", nn.Parameter(2 * torch.eye(3)))

        def forward(self, x):
            first, second = self.parameters()
            return x @ first + x @ second

    network, x = Odd(), torch.randn(2, 3)
    source = export_c(network, (3,), tmp_path / "net.c")
    np.testing.assert_allclose(compiled(source, x, (3,)), answers(network, x), atol=1e-5)


def test_every_kind_of_step_is_printed_by_all():
    from netwright.export import c_steps, numpy_source, onnx_steps

    for printers in (c_steps.PRINTERS, numpy_source.PRINTERS, onnx_steps.PRINTERS):
        assert set(printers) == set(KINDS)


def test_a_compiler_that_refuses_is_quoted(tmp_path):
    build("--version")
    (tmp_path / "net.c").write_text("no C")
    with pytest.raises(ValueError, match="refuses .*net.c: .*error"):
        run_c(tmp_path / "net.c", (1,))


def test_numbers_survive_spelling():
    values = [1e-38, -3.4e38, 0.1, 1.0, 1 / 3, 2**-149, 16777217.0]
    network = nn.Linear(1, len(values), bias=False)
    network.weight.data = torch.tensor(values)[:, None]
    program = program_of(network, (1,))
    text = re.search(r"w_weight\[\] = \{(.*?)\}", c_source(program), re.DOTALL)[1]
    found = np.array([each.strip(" f\n") for each in text.split(",")], dtype=np.float32)
    np.testing.assert_array_equal(found, np.array(values, dtype=np.float32))


def test_infinite_numbers_are_spelled(tmp_path):
    network = nn.MultiheadAttention(4, 2, batch_first=True)
    mask = torch.full((5, 5), float("-inf")).triu(1)

    class Causal(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = network

        def forward(self, x):
            return self.attention(x, x, x, attn_mask=mask, need_weights=False)[0].clamp(
                min=-float("inf"), max=9
            )

    x = torch.randn(3, 5, 4)
    source = export_c(Causal(), (5, 4), tmp_path / "net.c")
    assert "INFINITY" in source.read_text()
    np.testing.assert_allclose(compiled(source, x, (5, 4)), answers(Causal(), x), atol=1e-5)


def test_a_second_network_is_not_taken_for_the_first(tmp_path):
    heads = []
    for seed in range(2):
        torch.manual_seed(seed)
        text = export_c(nn.Linear(3, 2), (3,), tmp_path / "net.h").read_text()
        heads.append(re.search(r"#ifndef (NETWRIGHT_\w+_H)", text)[1])
    assert heads[0] != heads[1]
