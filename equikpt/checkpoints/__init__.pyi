from .remap import remap_checkpoint as remap_checkpoint
from .remap import remap_file as remap_file
from .remap import take_backbone as take_backbone
from .zoo import Checkpoint as Checkpoint
from .zoo import find as find
from .zoo import select as select
from .zoo_files import bring as bring
from .zoo_files import fetch as fetch
