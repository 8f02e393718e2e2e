"""Libraries that compute an ONNX file: ONNX Runtime or OpenVINO, on as many cores as there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equikpt_runtime.machine import physical_cores
from equikpt_runtime.metadata import is_openvino_file

PROVIDERS = {
    "onnxruntime": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
"""Names of what computes through ONNX Runtime, and its own names for them."""
BACKENDS = (*PROVIDERS, "openvino")
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
"""Number types that OpenVINO computes in, and its names for them."""


@dataclass(frozen=True)
class Network:
    """A network that is ready to compute.

    Args:
        compute: Function of the input to the outputs by name.
        input_shape: Sides of the input; None where any will do.
        outputs: Names of each output; OpenVINO knows some by several.
    """

    compute: Callable[[np.ndarray], dict[str, np.ndarray]]
    input_shape: tuple[int | None, ...]
    outputs: tuple[tuple[str, ...], ...]

    def __call__(self, inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Compute the outputs of an input."""
        return self.compute(inputs)


def load_network(
    path: str | os.PathLike,
    backend: str | None = None,
    threads: int | None = None,
    batch_size: int = 1,
    precision: str = "float32",
) -> Network:
    """Load a network.

    Args:
        path: ONNX file; OpenVINO takes its own ``.xml`` as well.
        backend: One of ``BACKENDS``; by default onnxruntime, and openvino for its ``.xml``.
        threads: Cores to compute on; by default all that this process may use.
        batch_size: Images that come at once: one is to be done soon, several are to be done fast.
        precision: One of ``PRECISIONS``; bfloat16 is OpenVINO's alone, and faster where the CPU has
            it.

    Raises:
        FileNotFoundError: No such file.
        ImportError: The library of the backend is not installed.
        ValueError: An option out of its range, a backend that this machine has not, or a file that
            is no network.
    """
    is_openvino = is_openvino_file(path)
    backend = backend or ("openvino" if is_openvino else "onnxruntime")
    if is_openvino and backend != "openvino":
        raise ValueError(f"expected the backend openvino for {path}, got {backend!r}")
    if backend not in BACKENDS or precision not in PRECISIONS:
        raise ValueError(
            f"expected a backend of {', '.join(BACKENDS)} and a precision of "
            f"{', '.join(PRECISIONS)}, got {backend!r} and {precision!r}"
        )
    if backend != "openvino" and precision != "float32":
        raise ValueError(f"expected the backend openvino for {precision}, got {backend!r}")
    if threads is not None and threads < 1:
        raise ValueError(f"expected at least one thread, got {threads}")
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a model at {path}, found no such file")
    threads = threads or physical_cores()
    if backend == "openvino":
        return _openvino(path, threads, batch_size, precision)
    return _onnxruntime(path, backend, threads)


def _onnxruntime(path: str | os.PathLike, backend: str, threads: int) -> Network:
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise ImportError(
            "expected ONNX Runtime, it is not installed; pip install onnxruntime, or take the "
            "backend openvino"
        ) from error
    provider = PROVIDERS[backend]
    available = ort.get_available_providers()
    if provider not in available:
        known = ", ".join(name for name, each in PROVIDERS.items() if each in available)
        raise ValueError(
            f"expected a backend that this ONNX Runtime has ({known}), got {backend!r}; install "
            "the build of onnxruntime for it"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # idle threads that wait at full speed would take the cores that images are read and cropped on
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = list(dict.fromkeys((provider, "CPUExecutionProvider")))
    try:
        session = ort.InferenceSession(os.fspath(path), options, providers=providers)
    except Exception as error:  # its own types, which are those of no module
        raise _no_network(path, "ONNX Runtime", error) from error
    names = tuple(each.name for each in session.get_outputs())
    given = session.get_inputs()[0]
    shape = tuple(side if isinstance(side, int) else None for side in given.shape)

    def run(inputs: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(names, {given.name: inputs}), strict=True))

    return Network(run, shape, tuple((name,) for name in names))


def _openvino(path: str | os.PathLike, threads: int, batch_size: int, precision: str) -> Network:
    try:
        import openvino as ov
    except ImportError as error:
        raise ImportError(
            "expected OpenVINO, it is not installed; pip install 'equikpt-runtime[openvino]', or "
            "take the backend onnxruntime"
        ) from error
    settings = {
        "PERFORMANCE_HINT": "LATENCY" if batch_size == 1 else "THROUGHPUT",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,  # a batch is computed by all threads together
        # where the CPU has bfloat16, OpenVINO takes it unless it is told otherwise
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
    }
    try:
        compiled = ov.Core().compile_model(os.fspath(path), "CPU", settings)
    except Exception as error:  # RuntimeError of its own module
        raise _no_network(path, "OpenVINO", error) from error
    request = compiled.create_infer_request()

    shape = tuple(
        each.get_length() if each.is_static else None for each in compiled.input(0).partial_shape
    )

    def run(inputs: np.ndarray) -> dict[str, np.ndarray]:
        found = request.infer([inputs], share_inputs=True)
        arrays = [np.array(found[each]) for each in compiled.outputs]
        # one output may have several names, of which ONNX has one
        pairs = zip(compiled.outputs, arrays, strict=True)
        return {name: array for each, array in pairs for name in each.get_names()}

    return Network(
        run, shape, tuple(name for each in compiled.outputs for name in each.get_names())
    )


def _no_network(path: str | os.PathLike, library: str, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())[:300]
    return ValueError(
        f"expected a network that {library} reads in {path}, it says {reason}; copy or export the "
        "file again"
    )
