"""Drawing on images; no other room does."""
