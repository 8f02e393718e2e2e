"""Images worth labelling next: evidence of a trained model, and a choice by it."""
