"""The ImageNet weights that Keras publishes for its applications: where they lie here, and whence they come."""

import os
import re

from tf_tickets import notices, storage
from tf_tickets.errors import UsageError, reason

_HOST = "https://storage.googleapis.com/"
_SECONDS_TO_CONNECT = 10

# Names -> (folder under the host, file of the network without its top), where {0} is the name in small letters and {1}
# the number in it.
_FILES = (
    ("ConvNeXt(.+)", "tensorflow/keras-applications/convnext/", "convnext_{1}_notop.h5"),
    (r"DenseNet(\d+)", "tensorflow/keras-applications/densenet/", "{0}_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    ("EfficientNetV2(.+)", "tensorflow/keras-applications/efficientnet_v2/", "efficientnetv2-{1}_notop.h5"),
    ("EfficientNet(B.)", "keras-applications/", "{0}_notop.h5"),
    (
        "Inception(ResNet)V2",
        "tensorflow/keras-applications/inception_resnet_v2/",
        "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ),
    (
        "Inception(V3)",
        "tensorflow/keras-applications/inception_v3/",
        "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    ),
    ("MobileNet()", "tensorflow/keras-applications/mobilenet/", "mobilenet_1_0_224_tf_no_top.h5"),
    (
        "MobileNet(V2)",
        "tensorflow/keras-applications/mobilenet_v2/",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    ),
    (
        "MobileNetV3(.+)",
        "tensorflow/keras-applications/mobilenet_v3/",
        "weights_mobilenet_v3_{1}_224_1.0_float_no_top_v2.h5",
    ),
    ("NASNet(.+)", "tensorflow/keras-applications/nasnet/", "nasnet_{1}_no_top.h5"),
    ("RegNet(.+)", "tensorflow/keras-applications/regnet/", "{0}_notop.h5"),
    (r"ResNet(\d+)(V2)?", "tensorflow/keras-applications/resnet/", "{0}_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    ("ResNetRS(50)", "tensorflow/keras-applications/resnet_rs/", "resnet-rs-{1}-i160_notop.h5"),
    ("ResNetRS(101)", "tensorflow/keras-applications/resnet_rs/", "resnet-rs-{1}-i192_notop.h5"),
    ("ResNetRS(152|200|270)", "tensorflow/keras-applications/resnet_rs/", "resnet-rs-{1}-i256_notop.h5"),
    ("ResNetRS(350|420)", "tensorflow/keras-applications/resnet_rs/", "resnet-rs-{1}-i320_notop.h5"),
    (r"VGG(\d+)", "tensorflow/keras-applications/{0}/", "{0}_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    ("Xception()", "tensorflow/keras-applications/xception/", "{0}_weights_tf_dim_ordering_tf_kernels_notop.h5"),
)


def published(application: str) -> tuple[str, str]:
    """(name of the weights file of an application without its top, its address)."""
    for names, folder, file in _FILES:
        if match := re.fullmatch(names, application):
            words = application.lower(), match[1].lower()
            name = file.format(*words)
            there = f"NASNet-{words[1]}-no-top.h5" if application.startswith("NASNet") else name
            return name, _HOST + folder.format(*words) + there
    raise ValueError(f"no file is known of {application}")


def find(application: str) -> str:
    """The path of the weights file in Keras' own folder, downloaded if it is not there.

    Raises:
      UsageError: it cannot be had; the line says which file to bring, and where to put it.
    """
    name, address = published(application)
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    path = os.path.join(home, "models", name)
    if not os.path.isfile(path):
        _download(address, path)
    return path


def _download(address, path):
    import requests

    name, folder = os.path.basename(path), os.path.dirname(path)
    notices.say(f"downloading {address}")
    try:
        with requests.get(address, stream=True, timeout=_SECONDS_TO_CONNECT) as response:
            response.raise_for_status()
            storage.write_bytes(path, response.content)
    except OSError as error:  # of requests too, whose words are long
        said = type(error).__name__ if isinstance(error, requests.RequestException) else reason(error)
        raise UsageError(
            f"--pretrained=imagenet needs {name}, which is not in {folder} and could not be downloaded ({said}): bring "
            f"it from {address} and put it there, or give it as --pretrained=FILE"
        ) from None
