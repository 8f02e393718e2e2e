from .options import load_config as load_config
from .options import merge_options as merge_options
from .options import parse_options as parse_options
