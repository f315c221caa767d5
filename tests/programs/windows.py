"""A backend of matplotlib's that opens windows, for programs without a display: it only says so."""

from matplotlib.backends import backend_agg


class FigureCanvas(backend_agg.FigureCanvasAgg):
    required_interactive_framework = "headless"


def new_figure_manager(number, *arguments, **options):
    print("opens a window", flush=True)
    return backend_agg.new_figure_manager(number, *arguments, **options)


def show(*arguments, **options):
    print("shows its windows", flush=True)
