"""TensorFlow, imported at its first use: operations are registered, and policies checked, without it."""


class _TensorFlow:
    def __getattr__(self, name):
        from tf_tickets import backend

        return getattr(backend.tf, name)


tf = _TensorFlow()
