"""Pictures that stay on disk until a batch wants them, for data sets that memory does not hold.

What is read is what `sources` would have read at once, by the same functions: where pictures are kept changes no bit
of a run, only its memory.
"""

from __future__ import annotations

import os

from tf_tickets.data.catalog import DataSet
from tf_tickets.errors import StateError
from tf_tickets.lazy_modules import np
from tf_tickets.registry import DATASETS

# Bytes of pixels, or of encoded pictures, up to which a split is held in memory; at the peak four times that is.
IN_MEMORY = 2**29


class Pixels:
    """The pictures of a split, as an array that reads on indexing.

    Attributes:
      dtype: of the pixels, as numpy's; object for encoded pictures.
      each: the shape of one picture; () of encoded ones.
      problem: the error of the last reading that failed, or None; TensorFlow would only tell of it in words of its own.
    """

    def __init__(self, stored, decode, data_set):
        """`stored[rows]` are what `decode` turns into pictures of a catalog.DataSet."""
        self._stored, self._decode, self._data_set, self.problem = stored, decode, data_set, None
        self.dtype = np.dtype(object if data_set.encoded else data_set.dtype)
        self.each = () if data_set.encoded else tuple(data_set.image_shape)

    def __len__(self):
        """Number of pictures."""
        return len(self._stored)

    def part(self, rows: np.ndarray) -> Pixels:
        """The Pixels of some rows."""
        return Pixels(self._stored[rows], self._decode, self._data_set)

    def __getitem__(self, rows):
        """The pictures of some rows, as numpy array of `dtype`."""
        try:
            return self._decode(self._stored[rows])
        except Exception as error:
            self.problem = error
            raise


class Records:
    """The images of record files by their place in them, as an array of which only parts are read.

    Attributes:
      files: paths.
      places: int64 [n, 3]: the number of the file, first byte and length.
    """

    def __init__(self, files, places):
        self.files, self.places = files, places

    @property
    def dtype(self) -> np.dtype:
        """Of encoded images, as numpy's."""
        return np.dtype(object)

    def __len__(self):
        """Number of images."""
        return len(self.places)

    def __getitem__(self, rows):
        """The Records of some rows."""
        return Records(self.files, self.places[rows])

    def followed_by(self, later: Records) -> Records:
        """These, then later ones."""
        places = later.places + np.array([len(self.files), 0, 0])
        return Records([*self.files, *later.files], np.concatenate([self.places, places]))

    def read(self) -> np.ndarray:
        """The encoded images, bytes, object [n]; StateError if a file does not hold them any more."""
        images, handles = np.empty(len(self), object), {}
        try:
            for index, (number, first, size) in enumerate(self.places.tolist()):
                if number not in handles:
                    handles[number] = open(self.files[number], "rb", buffering=0)
                handles[number].seek(first)
                images[index] = handles[number].read(size)
                if len(images[index]) != size:
                    raise OSError(f"it ends before byte {first + size}")
        except OSError as error:
            raise StateError(f"{self.files[number]} cannot be read ({error.strerror or error}); restore it") from None
        finally:
            for handle in handles.values():
                handle.close()
        return images


def size_of(stored: np.ndarray | Records, data_set: DataSet) -> int:
    """Bytes that stored images take up once they are in memory as `Source.images` gives them.

    Args:
      stored: as a Source keeps them: Records, pixels, encoded images, or, of `folder`, paths.
    """
    if not data_set.encoded:
        return len(stored) * int(np.prod(data_set.image_shape)) * np.dtype(data_set.dtype).itemsize
    if isinstance(stored, Records):
        return int(stored.places[:, 2].sum())
    # Encoded images are in memory already.
    return sum(os.path.getsize(path) for path in stored) if DATASETS[data_set.name].place_flags else 0
