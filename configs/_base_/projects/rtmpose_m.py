# What a project on a GPU inherits (`equikpt init`) whose minutes are few: RTMPose-m. The project
# gives its keypoints, data, input size, length and weights.
_base_ = [
    "../runtime.py",
    "../models/rtmpose_m.py",
    "../datasets/keypoints.py",
    "../schedules/project.py",
]

optim_wrapper = dict(type="AmpOptimWrapper", loss_scale="dynamic", optimizer=dict(lr=2e-4))

train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(type="KeypointDataset"))
