"""Videos and tables of :mod:`equikpt_runtime`, among the calls for notebooks."""

from equikpt_runtime.clips import Clip as Clip
from equikpt_runtime.clips import ClipWriter as ClipWriter
from equikpt_runtime.one_euro import OneEuroFilter as OneEuroFilter
from equikpt_runtime.one_euro import OneEuroOptions as OneEuroOptions
from equikpt_runtime.one_euro import PoseSmoother as PoseSmoother
from equikpt_runtime.tables import DeepLabCutTable as DeepLabCutTable
from equikpt_runtime.tables import PlainTable as PlainTable
from equikpt_runtime.tracking import Tracker as Tracker
from equikpt_runtime.tracking import TrackOptions as TrackOptions
from equikpt_runtime.tracking import predict_frames as predict_frames
from equikpt_runtime.tracking import track_and_smooth as track_and_smooth
