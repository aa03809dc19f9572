"""All pictures, one call each: `hw.plot.roofline(estimate, h200, "roofline.png")`.

Each returns its matplotlib figure, and writes it where a path is given, in the format of the path's
ending. With `ax` (axes of a figure of your own; a row of them for pictures of several panels) it is
drawn there, and they are what is returned. Nothing is drawn on a screen; a notebook shows the
figure that it is handed.
"""

from hwmodel.show.pictures.breakdown import breakdown as breakdown
from hwmodel.show.pictures.front import pareto as pareto
from hwmodel.show.pictures.heatmap import heatmap as heatmap
from hwmodel.show.pictures.parity import parity as parity
from hwmodel.show.pictures.pipeline import pipeline as pipeline
from hwmodel.show.pictures.roofline import roofline as roofline
from hwmodel.show.pictures.steps import steps as steps
from hwmodel.show.pictures.tornado import tornado as tornado

__all__ = ["breakdown", "heatmap", "pareto", "parity", "pipeline", "roofline", "steps", "tornado"]
