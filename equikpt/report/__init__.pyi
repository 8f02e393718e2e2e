from .run.run_folder import Run as Run
from .run.run_folder import read_run as read_run
from .run.run_state import state_of as state_of
