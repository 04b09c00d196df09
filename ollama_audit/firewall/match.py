"""Three-valued matches over sets of source addresses.

A match says for which sources it may hold and for which it may not. The two parts together are
always every source; where they overlap, it cannot be said. `True` stands for every source and
`False` for none, so that the common cases cost nothing.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ollama_audit.addresses import AddressSet

Part: TypeAlias = bool | AddressSet
"""A set of sources; True for all of them, False for none."""


class Match(NamedTuple):
    """For which sources something may hold, and for which it may not."""

    may: Part
    may_not: Part

    def __invert__(self) -> Match:
        return Match(self.may_not, self.may)


ALWAYS = Match(may=True, may_not=False)
NEVER = Match(may=False, may_not=True)
EITHER = Match(may=True, may_not=True)


def definite(value: bool | None) -> Match:  # noqa: FBT001 - the fact itself, not a switch
    """The match that holds, does not, or (None) cannot be said, for every source alike."""
    if value is None:
        return EITHER
    return ALWAYS if value else NEVER


def within(addresses: AddressSet) -> Match:
    """The match "the source is one of these", which is never in doubt."""
    return Match(addresses, ~addresses)


def intersection(left: Part, right: Part) -> Part:
    """Sources in both parts."""
    if left is True:
        return right
    if right is True:
        return left
    if left is False or right is False:
        return False
    return left & right


def union(left: Part, right: Part) -> Part:
    """Sources in either part."""
    if left is False:
        return right
    if right is False:
        return left
    if left is True or right is True:
        return True
    return left | right


def both(left: Match, right: Match) -> Match:
    """The conjunction."""
    return Match(intersection(left.may, right.may), union(left.may_not, right.may_not))


def either(left: Match, right: Match) -> Match:
    """The disjunction."""
    return Match(union(left.may, right.may), intersection(left.may_not, right.may_not))


def restrict(sources: AddressSet, part: Part) -> AddressSet:
    """The members of `sources` that are in `part`."""
    if part is True:
        return sources
    if part is False:
        return AddressSet.nothing(sources.version)
    return sources & part


def complement(part: Part) -> Part:
    """Sources that are not in `part`."""
    return not part if isinstance(part, bool) else ~part


Judgement: TypeAlias = Part | Match
"""For which sources something holds; a match where that is in doubt for some of them."""


def judgement(match: Match) -> Judgement:
    """A match, as a mere part where it is the same for every source."""
    if match.may_not is False:
        return True
    return False if match.may is False else match


def as_match(judged: Judgement) -> Match:
    """The same as a match."""
    return judged if isinstance(judged, Match) else Match(judged, complement(judged))


def opposite(judged: Judgement) -> Judgement:
    """For which sources it does not hold."""
    return ~judged if isinstance(judged, Match) else complement(judged)


def may(judged: Judgement) -> Part:
    """The sources for which it may hold."""
    return judged.may if isinstance(judged, Match) else judged


def may_not(judged: Judgement) -> Part:
    """The sources for which it may not hold."""
    return judged.may_not if isinstance(judged, Match) else complement(judged)


def conjunction(left: Judgement, right: Judgement) -> Judgement:
    """For which sources both hold."""
    if isinstance(left, Match) or isinstance(right, Match):
        return both(as_match(left), as_match(right))
    return intersection(left, right)
