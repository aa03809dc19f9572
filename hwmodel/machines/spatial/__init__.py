"""Spatial arrays: loop nests counted in closed form, bindings, SpAtten."""
