from .choice import choose as choose
from .choice import informativeness as informativeness
from .collecting import Collection as Collection
from .collecting import collect as collect
from .evidence import Evidence as Evidence
from .evidence import Judge as Judge
from .labelled import Labelled as Labelled
from .suggest import choose_images as choose_images
