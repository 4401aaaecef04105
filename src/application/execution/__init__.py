"""What carries a run forward: inputs in, a vertex built, the step recorded, on."""
