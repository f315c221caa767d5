"""Has loaded and used what people draw, compute and show with; then idles."""

import io
import os
import time

os.environ.setdefault("MPLBACKEND", "agg")
import ipywidgets
import matplotlib.pyplot as plt
import pandas as pd
import plotly.graph_objects as go
import rich
import tqdm
from IPython.core.interactiveshell import InteractiveShell

plt.plot([1, 2])
plt.savefig(io.BytesIO(), format="png", bbox_inches="tight")
frame = pd.DataFrame({"a": [1, 2]})
frame.to_html()
figure = go.Figure()
figure._repr_mimebundle_()
slider = ipywidgets.IntSlider()
rich.get_console()
list(tqdm.tqdm(range(3), disable=None, file=io.StringIO()))
shell = InteractiveShell
print("ready", flush=True)
while True:
    time.sleep(0.005)
