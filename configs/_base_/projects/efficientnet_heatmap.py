# What a project on a CPU inherits (`equikpt init`): EfficientNet-Lite0 with ImageNet weights, its
# stem and first two stages frozen, and heatmaps of stride 8. The project gives its keypoints, data,
# input size and length.
_base_ = [
    "../runtime.py",
    "../models/efficientnet_heatmap.py",
    "../datasets/keypoints.py",
    "../schedules/project.py",
]

frozen_stages = 2
optim_wrapper = dict(
    type="CpuAmpOptimWrapper",
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(frozen_stages=frozen_stages),
)
model = dict(backbone=dict(frozen_stages=frozen_stages))

# sigma in heatmap cells, 8 px of the input each; the blur of the decoder suits it (11: sigma 2)
codec = dict(
    type="FastUDPHeatmap",
    input_size=(192, 192),
    heatmap_size=(24, 24),
    sigma=1.2,
    blur_kernel_size=3,
)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(type="KeypointDataset"))
