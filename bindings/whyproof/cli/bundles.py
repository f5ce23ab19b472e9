"""Options that commands share are the fields of one dataclass; commands take the dataclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, cast, get_origin, get_type_hints

__all__ = ["bundled"]


def bundled(**chosen: Collection[str]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the options of dataclasses in place of its parameters of these types.

    A parameter whose type is a dataclass becomes one option for each field that carries
    one (``Annotated[type, typer.Option(...)]``); fields that are such dataclasses themselves
    are opened in the same way. The command receives the dataclass.

    Parameters
    ----------
    chosen
        Fields by parameter or field name; without an entry all fields with an option.

    Returns
    -------
    Callable
        A decorator for functions that become commands.

    Raises
    ------
    ValueError
        If a chosen field does not exist, or two options have one name; when the command is
        defined, so that no user can meet it.

    Examples
    --------
    >>> from dataclasses import make_dataclass
    >>> import typer
    >>> Width = Annotated[int, typer.Option("--width")]
    >>> Height = Annotated[int, typer.Option("--height")]
    >>> Size = make_dataclass("Size", [("width", Width, 1), ("height", Height, 1)], frozen=True)
    >>> def area(size):
    ...     return size.width * size.height
    >>> area.__annotations__ = {"size": Size, "return": int}
    >>> command = bundled()(area)
    >>> list(inspect.signature(command).parameters)
    ['width', 'height']
    >>> command(width=3, height=4)
    12
    """

    def decorated(command: Callable[..., int]) -> Callable[..., int]:
        hints = get_type_hints(command, include_extras=True)
        options: dict[str, inspect.Parameter] = {}
        makers: dict[str, Callable[[dict[str, Any]], object]] = {}
        for name, parameter in inspect.signature(command).parameters.items():
            makers[name] = _opened(name, hints[name], parameter.default, chosen, options)

        def called(**given: object) -> int:
            return command(**{name: make(given) for name, make in makers.items()})

        called.__name__, called.__qualname__ = command.__name__, command.__qualname__
        called.__module__, called.__doc__ = command.__module__, command.__doc__
        called.__annotations__ = {
            **{name: option.annotation for name, option in options.items()},
            "return": int,
        }
        called.__signature__ = inspect.Signature(list(options.values()))  # type: ignore[attr-defined]
        return called

    return decorated


def _opened(
    name: str,
    hint: object,
    default: object,
    chosen: dict[str, Collection[str]],
    options: dict[str, inspect.Parameter],
) -> Callable[[dict[str, Any]], object]:
    """Add the options of a parameter or field; return what makes its value of those given."""
    if not is_dataclass(hint):
        if name in options:
            raise ValueError(f"two options are called {name!r}: choose the fields")
        options[name] = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint
        )
        return lambda given: given[name]
    kind = cast("type[Any]", hint)
    hints = get_type_hints(kind, include_extras=True)
    makers = {
        field.name: _opened(field.name, hints[field.name], _default(field), chosen, options)
        for field in _selected(kind, hints, chosen.get(name))
    }
    return lambda given: kind(**{field: make(given) for field, make in makers.items()})


def _selected(
    kind: type[Any], hints: dict[str, Any], names: Collection[str] | None
) -> list[Field[Any]]:
    """Return the fields of a dataclass that become options."""
    able = [
        field
        for field in fields(kind)
        if is_dataclass(hints[field.name]) or get_origin(hints[field.name]) is Annotated
    ]
    if names is None:
        return able
    if unknown := set(names) - {field.name for field in able}:
        raise ValueError(f"{kind.__name__} has no options {sorted(unknown)}")
    return [f for f in able if f.name in names or is_dataclass(hints[f.name])]


def _default(field: Field[Any]) -> object:
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty
