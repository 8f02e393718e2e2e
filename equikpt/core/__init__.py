"""What every room stands on: files, images, COCO files, configs; nothing here knows MMPose."""
