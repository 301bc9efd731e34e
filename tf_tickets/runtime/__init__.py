"""Predicts with a ticket where TensorFlow is not: numpy and SciPy alone, sparse where sparse is faster.

```python
from tf_tickets import runtime
network = runtime.load("runs/.../ticket")          # a ticket folder, or the runtime.npz of `export`
network.predict(images)                            # uint8 [n, height, width, channels] -> probabilities
```
"""

from tf_tickets.runtime.averaging import Ensemble
from tf_tickets.runtime.files import Damaged, NotATicket
from tf_tickets.runtime.network import Network
from tf_tickets.runtime.reader import load

__all__ = ["Damaged", "Ensemble", "Network", "NotATicket", "load"]
