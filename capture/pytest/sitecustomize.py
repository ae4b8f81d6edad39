"""Loaded by site at the start of each recorded Python, for pyrr's recorder: makes way
for the sitecustomize that would have been loaded, and has unittest's tests marked
once unittest is imported. Without the folder that it lies in on the path there is
nothing of it.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


class _Finder:
    """Finds unittest.suite, which comes after unittest.case, as ever, and looks at it
    when it has been loaded."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "unittest.suite":
            return None
        sys.meta_path.remove(_Finder)
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        load = getattr(getattr(spec, "loader", None), "exec_module", None)
        if load is not None:

            def exec_module(module):
                load(module)
                del spec.loader.exec_module
                try:
                    _watch()
                except Exception:  # of another Python; its tests are recorded as one
                    pass

            spec.loader.exec_module = exec_module
        return spec


def _watch():
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("pyrr_unittest", os.path.join(_HERE, "pyrr_unittest.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.watch()


def _next():
    """Loads the sitecustomize that comes after this one on the path."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec(__name__, [p for p in sys.path if os.path.abspath(p or ".") != _HERE])
    if spec is None or spec.loader is None:
        # As site takes it where there is none.
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize")
    module = module_from_spec(spec)
    sys.modules[__name__] = module
    spec.loader.exec_module(module)


if os.path.exists(os.path.join(_HERE, "pyrr_unittest.py")):
    sys.meta_path.insert(0, _Finder)
_next()
