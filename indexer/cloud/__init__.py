"""Taggers that run elsewhere and cost money: asked rarely, never beyond a budget, and never twice for one picture."""
