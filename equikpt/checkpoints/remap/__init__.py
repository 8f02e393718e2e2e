"""The weights of one keypoint set in a model of another, point by point.

A head's output layer has one channel a keypoint, so a checkpoint of 17 points does not load into
a model of 26, and MMPose then drops the layer. Yet most of the 26 are among the 17, at the same
place on the animal (:mod:`equikpt.metainfo.correspondence`): their channels are copied.

The channels of the other points start from the mean of the copied ones: what "some point of a
horse" looks like. It answers, weakly, wherever there is a joint, so the gradient starts from the
features that tell joints from the rest, and at a trained channel's scale. In RTMPose it matters
for the copied points as well. There each map is divided by its norm (``ScaleNorm``) before all
points attend to all: a random channel, however small, becomes a loud voice, and at zero the
gradient is a hundred thousand times the usual one. The small twin of ``rtmpose_m_ap10k``, trained
on sample data, taken down to AP-10K's 17 points and up again, found 0.84 of the 17 within 0.05 of
the input before, 0.83 with the mean and 0.31 with random channels as MMPose draws them (60 drawn
horses). The mean of a point's neighbours in the skeleton kept 0.84. But in a heatmap head its
peaks on the neighbours have to be unlearnt: of the nine new points, 10 steps of the output layer
alone found 0.78 within 0.1 from the mean of all, 0.62 from that of the neighbours; after 100 steps
all starts were equal.

A point with one label for both sides (:data:`~equikpt.metainfo.correspondence.FACING_CAMERA`) is
not copied to either side: ``mapping`` leaves it out, since a channel that answers to both sides
would teach the model to mix them up.

What this keeps. In a heatmap head every channel is a function of its own weights: the maps of the
copied points are the ones before. In an RTMCC head the same holds up to the attention unit
(``final_layer`` and ``mlp``), which hears the new points too: those predictions move a little, by
a median of 1 px of 128 in the twin above.
"""

import equikpt.compat  # noqa: F401 - readies the stack
