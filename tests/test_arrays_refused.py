"""Arrays and data sets of TensorFlow that cannot be used, and what is said of each."""

import numpy as np
import pytest
from own_arrays import CLASSES, SMALL, TEST, X, Y, given, refused, written

import tf_tickets as tt
from tf_tickets.data import image_arrays

WRONG_IMAGES = {
    "float in [0, 1]": (X / 255, r"float64 from 0 to 1; multiply by 255 and cast: \(images \* 255\)"),
    "float to 255": (X.astype(np.float32), r"float32 from 0 to 255; cast: images\.round\(\)\.astype\('uint8'\)"),
    "normalised": (X / 127.5 - 1, "is normalised; give the pixels before that"),
    "NaN": (np.where(X == X[0, 0, 0, 0], np.nan, X), "with NaN or infinity; repair"),
    "0 and 1": ((X > 127).astype(np.uint8), "no value above 1, and white is 255; multiply by 255, before the cast"),
    "bool": (X > 127, r"bool is no kind of pixel; write images\.astype\('uint8'\) \* 255"),
    "16 bits": (X.astype(np.uint16) * 257, r"from 0 to 255; scale it to those; of 16 bits write \(images // 257"),
    "negative": (X.astype(int) - 5, "goes from -5 to 250, and pixels from 0 to 255"),
    "channels first": (np.transpose(X, (0, 3, 1, 2)), r"np\.transpose\(images, \(0, 2, 3, 1\)\)"),
    "flat": (X.reshape(20, -1), r"flat images; give them back their sides, such as \.reshape\(-1, 28, 28\)"),
    "five axes": (X[None], r"is not \[n, height, width, channels\]"),
    "none": (X[:0], "holds no image"),
    "channels": (np.zeros((20, 8, 8, 40), np.uint8), "40 channels"),
    "objects": (np.array([X[0], X[1], None], object), "different sizes|array of objects"),
    "different sizes": ([X[0], X[1][:5]], r"different sizes, such as \[5, 8, 3\] and \[8, 8, 3\]; resize them to one"),
    "generator": ((image for image in X), r"a generator is no array; collect it first, such as np\.stack"),
    "function": (lambda: X, "a generator is no array"),
    "path": ("x.npz", "is no array; for a file of arrays use --dataset=arrays --data_file=FILE.npz"),
    "None": (None, "nothing is given; give a numpy array"),
    "dict": ({"image": X}, "a dict is no array; give one array of all images"),
    "text": (np.array(["a"] * 20), "shape|no kind of pixel"),
}  # fmt: skip
WRONG_LABELS = {
    "length": (Y[:-1], "19 labels for 20 images; give one label for each image"),
    "float": (Y.astype(float), r"float64 is no kind of label; cast: labels\.astype\('int64'\)"),
    "regression": (Y + 0.5, "holds 0.5: regression is not supported; give one class per image"),
    "negative": (Y - 1, "row 0 is -1; labels count from 0: leave such images out"),
    "NaN": (np.where(Y == 0, np.nan, Y), "row 0 is nan; give it a class, or leave the image out"),
    "None": (np.array([None, *Y[1:]], object), "row 0 has no label; give one, or leave the image out"),
    "from 1": (Y + 1, "from 1 to 2, and labels count from 0; subtract 1"),
    "empty class": (Y * 2, r"class 1 \('1'\) has no training images; add some, or leave the class out"),
    "one class": (Y * 0, "one class, '0'; give images of two classes or more"),
    "multi-label": (np.ones((20, 3), int), "image 0 has several classes: multi-label is not supported"),
    "no class": (np.zeros((20, 3), int), "image 0 has no class; give one class per image"),
    "probabilities": (np.full((20, 4), 0.25), r"probabilities of classes are not supported; write labels\.argmax"),
    "boxes": (np.full((20, 4), 7.5), "boxes of detection and regression are not supported"),
    "boxes of images": (np.zeros((20, 5, 4)), "detection and segmentation are not supported"),
    "lists of boxes": ([{"box": [0, 0, 1, 1]}] * 20, "multi-label and detection are not supported"),
    "ragged": ([[0], [0, 1]] * 10, "labels"),
    "empty text": (["", "dog"] * 10, "row 0 has an empty label"),
    "dates": (np.array(["2020-01-01"] * 20, "datetime64[D]"), "is no kind of label; give whole numbers or text"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_IMAGES)
def test_images_that_cannot_be_used_are_refused_with_what_to_write(case):
    value, message = WRONG_IMAGES[case]
    refused(lambda: tt.data.from_arrays(value, Y), f"^training images: .*({message})")


@pytest.mark.parametrize("case", WRONG_LABELS)
def test_labels_that_cannot_be_used_are_refused_with_what_to_write(case):
    value, message = WRONG_LABELS[case]
    refused(lambda: tt.data.from_arrays(X, value), message)


@pytest.mark.parametrize(("changes", "message"), [
    ({"test": (TEST[0], TEST[1] + 1)}, "test labels: label 2, which no training image has: leave such images out"),
    ({"test": (TEST[0], ["cat"] * 6)}, "one has text and the other numbers; give both the same kind"),
    ({"test": (TEST[0][:, :4], TEST[1])}, r"test images: \[4, 8, 3\], and the training images are \[8, 8, 3\]"),
    ({"test": (TEST[0] / 255, TEST[1])}, "test images: float64 from 0 to 1"),
    ({"test": TEST[0]}, r"test: a ndarray is no pair; give \(x_test, y_test\)"),
    ({"class_names": ["cat"]}, "class_names: 1 names, and training labels go up to 1; give 2 names"),
    ({"class_names": ["cat", "dog", "fox"]}, r"class 2 \('fox'\) has no training images"),
    ({"class_names": ["cat", "cat"]}, "class_names: 'cat' is there twice"),
    ({"class_names": ["cat", 3]}, "class_names: 3 is no list of names"),
    ({"class_names": "ab"}, "class_names: ab is no list of names"),
    ({"class_names": [b"cat", None]}, "class_names: None is no list of names; give a list of str"),
    ({"class_names": ["cat", "a\nb"]}, "rename it"),
])  # fmt: skip
def test_other_arguments_that_cannot_be_used_are_refused(changes, message):
    refused(lambda: tt.data.from_arrays(X, Y, **changes), message)


def test_text_labels_have_to_be_named():
    text = np.array(CLASSES)[Y]
    refused(lambda: tt.data.from_arrays(X, text, class_names=["cat", "fox"]), "'dog' is no class of cat, fox; name it")
    refused(
        lambda: tt.data.from_arrays(X, text, test=(TEST[0], ["fox"] * 6)), "test labels: 'fox' is no class of cat, dog"
    )


@pytest.mark.parametrize(("arrays", "message"), [
    ({"x": X, "y": Y}, "has no train_images (it holds x, y): give the arrays train_images and train_labels"),
    ({"train_images": X, "train_labels": Y, "test_images": X}, "has no test_labels"),
    ({"train_images": X, "train_labels": Y, "labels": Y}, "has labels, which nothing reads"),
    ({"train_images": X, "train_labels": np.array([{}] * 20)}, "train_labels is pickled objects, which are never read"),
    ({"train_images": X / 255, "train_labels": Y}, "train_images: float64 from 0 to 1; multiply by 255"),
    ({"train_images": X, "train_labels": Y + 1}, "train_labels: from 1 to 2"),
    ({"train_images": X, "train_labels": Y, "class_names": np.array(["a"])}, "class_names: 1 names"),
])  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused(command, tmp_path, arrays, message):
    path = written(tmp_path / "x.npz", **arrays)
    done = command(tmp_path, "--dataset=arrays", f"--data_file={path}", "--model=vgg11", "--dry_run")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"--data_file={path}" in done.stderr or "class_names" in message
    assert message in done.stderr


@pytest.mark.parametrize(("words", "message"), [
    (["--dataset=arrays"], "--dataset=arrays needs --data_file=FILE.npz"),
    (["--dataset=arrays", "--data_file=none.npz"], "--data_file=none.npz cannot be read (No such file"),
    (["--dataset=arrays", "--data_file=text.npz"], "--data_file=text.npz is no .npz: write it with np.savez"),
    (["--dataset=arrays", "--data_file=."], ". is a folder, not a regular file; put one in its place"),
    (["--dataset=arrays", "--data_file=cut.npz"], "--data_file=cut.npz is"),
    (["--dataset=digits", "--data_file=x.npz"], "--data_file=x.npz belongs to --dataset=arrays, not digits"),
    (["--data_file=x.npz"], "--data_file=x.npz belongs to --dataset=arrays, not cifar10"),
    (["--dataset=arrays", "--data_file=x.npz", "--per_class=50"], "--per_class=50"),
    (["--dataset=arrays", "--data_file=python:0"], "the images were given from Python: give data= again"),
    (["--dataset=arrays", "--data_file=x.npz", "--validation=official"], "no validation part; use a fraction"),
])  # fmt: skip
def test_flags_that_cannot_be_used_are_refused(command, tmp_path, words, message):
    given().save(tmp_path / "x.npz")
    (tmp_path / "text.npz").write_text("no")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:3000])
    done = command(tmp_path, *words, "--model=vgg11", "--dry_run")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_what_is_no_data_is_refused(tmp_path):
    config = tt.Config(**SMALL, out=str(tmp_path))
    refused(lambda: tt.imp(config, data=(X, Y)), r"data: tuple is no data; give tt.data.from_arrays\(images, labels\)")
    refused(
        lambda: tt.train(config.replace(dataset="digits"), data=given()), "data= and dataset=digits exclude each other"
    )
    refused(lambda: given().save(tmp_path / "x.npy"), "does not end in .npz")
    assert not list(tmp_path.iterdir())
    (tmp_path / "text").write_text("no folder")
    with pytest.raises(tt.errors.StateError, match="cannot be written"):
        given().save(tmp_path / "text" / "x.npz")


def test_members_cut_short_are_damage(tmp_path):
    given().save(tmp_path / "x.npz")
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[200:400] = bytes(200)
    (tmp_path / "x.npz").write_bytes(data)
    refused(lambda: image_arrays.read(str(tmp_path / "x.npz")), "is damaged .*: write it again with np.savez")


def dataset(x=X, y=Y):
    from tf_tickets.backend import tf

    return tf.data.Dataset.from_tensor_slices((x, y))


def unshaped(elements):
    from tf_tickets.backend import tf

    specs = (tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(lambda: iter(elements), output_signature=specs)


def test_a_tf_data_set_is_taken_batched_or_not():
    expected = given().pictures.digest
    test = dataset(*TEST)
    names = np.array(CLASSES)
    for train in (
        dataset(), dataset().batch(7), dataset().batch(5, drop_remainder=True), dataset(y=np.eye(2)[Y]),
        dataset(y=np.eye(2)[Y]).batch(7), dataset(y=Y[:, None]), unshaped(zip(X, Y)), dataset().repeat(1).prefetch(2),
    ):  # fmt: skip
        data = tt.data.from_dataset(train, test=test.batch(4), class_names=CLASSES)
        assert data.pictures.digest == expected
    assert tt.data.from_dataset(dataset(y=names[Y]), test=dataset(TEST[0], names[TEST[1]])).pictures.digest == expected
    grey = tt.data.from_arrays(X[..., 0], Y).pictures.digest
    for train in (dataset(X[..., 0]), dataset(X[..., 0]).batch(7), dataset(X[..., :1]).batch(7)):
        assert tt.data.from_dataset(train).pictures.digest == grey


@pytest.mark.parametrize(("make", "message"), [
    (lambda: dataset().repeat(), r"the data set never ends; leave out \.repeat\(\), or write \.take\(n\)"),
    (lambda: dataset().map(lambda x, y: {"image": x, "label": y}), r"dicts of image, label; write dataset\.map"),
    (lambda: dataset().batch(2).batch(2), r"batched twice; write \.unbatch\(\) once"),
    (lambda: dataset().map(lambda x, y: x), r"no pairs of \(image, label\); write dataset\.map"),
    (lambda: dataset().map(lambda x, y: (x, y, y)), r"no pairs of \(image, label\)"),
    (lambda: dataset().take(0), "holds nothing; give one with images"),
    (lambda: unshaped([(X[0], 0), (X[1][:5], 1)]), r"different sizes, such as \[5, 8, 3\] and \[8, 8, 3\]; resize"),
    (lambda: dataset(X / 255), "float64 from 0 to 1; multiply by 255"),
    (lambda: (X, Y), "a tuple is no tf.data.Dataset; for arrays use tt.data.from_arrays"),
])  # fmt: skip
def test_a_tf_data_set_that_cannot_be_used_is_refused(make, message):
    refused(lambda: tt.data.from_dataset(make()), message)


def test_a_tf_data_set_is_no_array():
    refused(lambda: tt.data.from_arrays(dataset(), Y), "a tf.data.Dataset is no array; give it to tt.data.from_dataset")
