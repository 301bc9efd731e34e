"""What to do with some pictures: what `advise` computes, and its page.

Called, `tf_tickets.advise("pictures")`, it is `library.advise`.
"""

from tf_tickets import lazy_modules

lazy_modules.make_callable(__name__)
