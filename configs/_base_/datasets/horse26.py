# One horse a sample, 26 keypoints. A leaf names its codec, as with keypoints.py.
_base_ = "keypoints.py"

dataset_type = "Horse26Dataset"
dataset = dict(type=dataset_type)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dataset)
