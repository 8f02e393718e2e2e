from . import convert as convert
from . import project as project
from . import sigmas as sigmas
from . import split as split
from . import verify as verify
