"""Tables and figures of finished runs. Reads run folders and CSV files; imports no TensorFlow.

Called, `tf_tickets.report(run)`, it is `library.report`.
"""

from tf_tickets import lazy_modules

lazy_modules.make_callable(__name__)
