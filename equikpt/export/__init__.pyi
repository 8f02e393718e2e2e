from .graphs import Graph as Graph
from .graphs import KeypointGraph as KeypointGraph
from .graphs import graph_for as graph_for
from .metadata import Metadata as Metadata
from .model import Exported as Exported
from .model import export_model as export_model
from .onnx_file import OnnxModel as OnnxModel
from .onnx_file import export_graph as export_graph
