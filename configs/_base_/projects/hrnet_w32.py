# What a project on a GPU inherits (`equikpt init`): HRNet-W32 and heatmaps of stride 4. The project
# gives its keypoints, data, input size, length and weights.
_base_ = [
    "../runtime.py",
    "../models/hrnet_w32.py",
    "../datasets/keypoints.py",
    "../schedules/project.py",
]

optim_wrapper = dict(type="AmpOptimWrapper", loss_scale="dynamic", optimizer=dict(lr=5e-4))

# sigma in heatmap cells, 4 px of the input each
codec = dict(
    type="FastMSRAHeatmap", input_size=(256, 256), heatmap_size=(64, 64), sigma=2, unbiased=True
)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(type="KeypointDataset"))
