"""One test for a rule that many names keep: as tests of their own they would take far longer."""

from collections.abc import Callable, Iterable


def for_each(names: Iterable[str]) -> Callable[[Callable[[str], None]], Callable[[], None]]:
    """Turn a rule for one name into a test of them all, which names those that break it."""
    held = list(names)

    def of_all(rule: Callable[[str], None]) -> Callable[[], None]:
        def test() -> None:
            assert held, "a rule that finds nothing to hold for has lost its subject"
            broken = []
            for name in held:
                try:
                    rule(name)
                except AssertionError as error:
                    broken.append(f"{name}: {error}")
            if broken:
                raise AssertionError("\n".join(broken))

        test.__name__, test.__doc__, test.__module__ = rule.__name__, rule.__doc__, rule.__module__
        return test

    return of_all
