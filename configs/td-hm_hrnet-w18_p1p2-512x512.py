"""Ruler marks on cephalograms, HRNet-W18 at 512 × 512: a third of the time of 768 px.

Command:   python tools/train.py configs/td-hm_hrnet-w18_p1p2-512x512.py --amp --data-root DIR
Weights:   fetched to data/checkpoints by the first run (tools/download_checkpoints.py, elsewhere)
Hardware:  a GPU of 4 GB (not tried yet), or a CPU for hours
Expected:  from random weights 8.4 px of the radiograph after 6 epochs of 150, 16 minutes of one
           core (the mean place of the marks: 39 px); after 11 epochs of a longer schedule 1.20 px
           of the input, scale error 2.3 %. At 0.003, the usual rate, it was still 186 px off after
           three
"""

_base_ = "td-hm_hrnet-w18_p1p2-768x768.py"

auto_scale_lr = dict(base_batch_size=4)

# sigma in heatmap cells, 4 px of the input each
codec = dict(type="SoftmaxHeatmap", input_size=(512, 512), heatmap_size=(128, 128), sigma=1.5)
model = dict(head=dict(decoder=codec))
train_dataloader = val_dataloader = test_dataloader = dict(batch_size=4, dataset=dict(codec=codec))
