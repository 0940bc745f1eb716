"""Recipes: folders that put existing parts together for one application each."""
