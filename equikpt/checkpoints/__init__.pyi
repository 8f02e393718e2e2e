from .remap import remap_checkpoint as remap_checkpoint
from .remap import remap_file as remap_file
from .zoo import Checkpoint as Checkpoint
from .zoo import fetch as fetch
from .zoo import find as find
from .zoo import select as select
