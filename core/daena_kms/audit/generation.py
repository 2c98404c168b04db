"""How often a store was changed, as closing records note it: an older copy of a store shows by it.

Only a store that is a file can be put back as a whole. Its runs note two numbers among the counts
of their closing records: how often the store was changed, and a code by which the store knows that
it wrote that itself. So nobody who may only add to the log can make a store look old.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping

_GENERATION, _PROOF = "generation", "generation_proof"

#: Returns the code for a number of changes.
type ProofOf = Callable[[int], int]


def noted(generation: int, proof_of: ProofOf) -> dict[str, int]:
    """Return the counts that note a generation."""
    return {_GENERATION: generation, _PROOF: proof_of(generation)}


def claimed(counts: Mapping[str, object]) -> tuple[int, int] | None:
    """Return the generation and its code in a closing record's counts, if they are there."""
    generation, proof = counts.get(_GENERATION), counts.get(_PROOF)
    if type(generation) is not int or type(proof) is not int:
        return None
    if not 0 < generation < 1 << 63 or not 0 <= proof < 1 << 64:
        return None
    return generation, proof


class Claims:
    """What any number of closing records note of a store: 16 bytes for each."""

    def __init__(self) -> None:
        self._numbers = array("Q")

    def add(self, counts: Mapping[str, object]) -> None:
        """Take the counts of one closing record."""
        self._numbers.extend(claimed(counts) or ())

    def __iter__(self) -> Iterator[dict[str, int]]:
        """Yield what each record notes that notes something, as it stands there."""
        for number in range(0, len(self._numbers), 2):
            generation, proof = self._numbers[number : number + 2]
            yield {_GENERATION: generation, _PROOF: proof}


def newest(every: Iterable[Mapping[str, object]], proof_of: ProofOf, least: int = 0) -> int:
    """Return the highest generation over ``least`` that the store itself noted, or ``least``."""
    for counts in every:
        claim = claimed(counts)
        if claim is not None and claim[0] > least and proof_of(claim[0]) == claim[1]:
            least = claim[0]
    return least
