"""A tiny ONNX graph builder: nodes are appended in order and results are named after their operator."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Opset 17 and IR 8 load in every runtime of the last years; nothing newer is needed.
OPSET = 17
IR_VERSION = 8


class Graph:
    """Collects nodes, initialisers, inputs and outputs of one ONNX graph."""

    def __init__(self, name: str):
        self.name = name
        self.nodes, self.constants, self.inputs, self.outputs = [], {}, [], []

    def input(self, name: str, dtype: int, shape: list) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, value: str, dtype: int, shape: list) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"output_{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def const(self, array, name: str | None = None) -> str:
        """Adds an initialiser; a named one is added once, however often it is used (tied weights)."""
        name = name or f"const_{len(self.constants)}"
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(array), name)
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes):
        base = f"{kind.lower()}_{len(self.nodes)}"
        names = [base] if outputs == 1 else [f"{base}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=base, **attributes))
        return names[0] if outputs == 1 else names

    def save(self, path: Path) -> None:
        used = {name for node in self.nodes for name in node.input}
        constants = [tensor for name, tensor in self.constants.items() if name in used]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, constants)
        model = helper.make_model(
            graph,
            producer_name="zerog",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString(deterministic=True))


FLOAT, INT64, UINT8, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.UINT8, TensorProto.BOOL
