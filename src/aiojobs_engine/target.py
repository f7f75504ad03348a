"""Where an engine lives: from `module:attribute` to the object, and from the object back."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from aiojobs_engine.core.errors import ConfigError, did_you_mean

_SHAPE = "TARGET is module:attribute, like app:engine"


def is_target(text: str) -> bool:
    """Whether `text` has the form `module:attribute`, dots allowed on both sides."""
    module, colon, attribute = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")])


async def load(target: str) -> object:
    """What stands at `target`, the working directory being importable; a function is called for it.

    Raises:
        ConfigError: there is no such module or attribute (the nearest is named), or it raised.
    """
    found = _at(target)
    if not (inspect.isfunction(found) or inspect.isbuiltin(found) or inspect.ismethod(found)):
        return found
    try:
        made: Any = found()
        return await made if inspect.isawaitable(made) else made
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{target} was called and raised {_raised(error)}") from error


def located(path: str) -> object:
    """What stands at `module:attribute`, the working directory being importable; the program is a module too.

    Raises:
        ConfigError: there is no such module or attribute (the nearest is named), or importing it raised.
    """
    if not is_target(path):
        raise ConfigError(f"a path is module:attribute, like app:import_users{_colon(path)}")
    name, _, attribute = path.partition(":")
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    is_main = name not in sys.modules and file is not None and Path(file).stem == name
    return _attribute(main if is_main else _module(name), attribute)


def load_file(path: str, attribute: str, name: str) -> object:
    """What stands under `attribute` in the script at `path`, run as the module `name`, not as `__main__`.

    Raises:
        ConfigError: the script is gone or raised.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise ConfigError(f"there is no Python file {path!r}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(Path(path).parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path} raised {_raised(error)}") from error
    return _attribute(module, attribute)


def find(engine: object) -> tuple[str, str] | None:
    """The module and the attribute that hold this very object; None when no loaded module does."""
    for name, module in sorted(sys.modules.items(), key=lambda item: item[0] == "__main__"):
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            if value is engine and not attribute.startswith("__"):
                return name, attribute
    return None


def _at(target: str) -> object:
    if not is_target(target):
        raise ConfigError(f"{_SHAPE}, got {target!r}{_mended(target)}")
    name, _, attribute = target.partition(":")
    return _attribute(_module(name), attribute)


def _module(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = did_you_mean(name, _neighbours(name.rpartition(".")[0]))
            raise ConfigError(
                f"there is no module {error.name!r} in {str(Path.cwd())!r} or installed{hint}"
            ) from error
        raise ConfigError(f"module {name!r} was found, and importing it raised {_raised(error)}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"module {name!r} was found, and importing it raised {_raised(error)}") from error


def _attribute(module: ModuleType, path: str) -> object:
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            public = [name for name in dir(found) if not name.startswith("_")]
            hint = did_you_mean(part, public)
            raise ConfigError(f"module {module.__name__!r} has no {part!r}{hint}") from None
    return found


def _raised(error: BaseException) -> str:
    """The exception in words, with the line of the user's file that it came from."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<frozen") and file != __file__:
            place = f" ({file}, line {trace.tb_lineno})"
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        place = f" ({error.filename}, line {error.lineno})"
        return f"{type(error).__name__}: {error.msg}{place}"
    return f"{type(error).__name__}: {error}{place}"


def _colon(path: str) -> str:
    """The same path with a colon before its last part, where that would be one."""
    module, dot, attribute = path.rpartition(".")
    return (
        f"; did you mean {f'{module}:{attribute}'!r}?" if dot and is_target(f"{module}:{attribute}") else ""
    )


def _mended(target: str) -> str:
    bare = target.removesuffix(".py").replace("/", ".")
    return f"; did you mean {f'{bare}:engine'!r}?" if is_target(f"{bare}:engine") else ""


def _neighbours(package: str) -> list[str]:
    """The modules beside one of this package, of the working directory without one."""
    parent = sys.modules.get(package)
    if parent is None:
        return [found.name for found in iter_modules([str(Path.cwd())])]
    return [f"{package}.{found.name}" for found in iter_modules(getattr(parent, "__path__", []))]
