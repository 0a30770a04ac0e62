"""Pictures of explanations, made and drawn in a process of their own."""
