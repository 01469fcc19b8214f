"""Floating-point numbers as terms of the prover.

A term is either exact, or rounded: then each operation gives any number that is as near to the
exact result as IEEE 754 promises (round to nearest; Goldberg 1991, theorem 2), which is more than
any processor gives. What is proved of rounded terms so holds of the floats themselves. Where IEEE
754 promises the exact result, so do these.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import z3

YES, NO = z3.BoolVal(val=True), z3.BoolVal(val=False)
# Half the distance between 1 and the next number: what one operation may be off by, relatively.
UNIT = Fraction(1, 2**53)
# The same of products where numbers get so small that they lose digits.
TINY = Fraction(1, 2**1075)
# Below it they do.
NORMAL = Fraction(1, 2**1022)
# Where rounding gives infinity, and no longer the largest number.
OVERFLOW = Fraction(2**1024 - 2**970)
# A number that is added cannot lead there from a finite one unless it is as large itself.
SMALL = float(2**970)
WHOLE_UNTIL = 2**53


@dataclass(frozen=True, slots=True)
class Number:
    """A float64: a real number, unless it is one of the three that are none."""

    real: z3.ArithRef
    nan: z3.BoolRef = NO
    above: z3.BoolRef = NO  # positive infinity
    below: z3.BoolRef = NO  # negative infinity
    whole: bool = False

    @property
    def finite(self) -> z3.BoolRef:
        return z3.Not(either(self.nan, self.above, self.below))


def either(*conditions: z3.BoolRef) -> z3.BoolRef:
    """Join conditions by `or`, without those that are plainly false: most numbers are finite."""
    some = [each for each in conditions if not z3.is_false(each)]
    if not some:
        return NO
    return some[0] if len(some) == 1 else z3.Or(*some)


def both(first: z3.BoolRef, second: z3.BoolRef) -> z3.BoolRef:
    if z3.is_false(first) or z3.is_false(second):
        return NO
    return z3.And(first, second)


def constant(value: float) -> z3.ArithRef:
    return z3.RealVal(Fraction(value))


def number(value: float) -> Number:
    """Give one number, which may be none."""
    if math.isnan(value):
        return Number(z3.RealVal(0), nan=YES)
    if math.isinf(value):
        return Number(z3.RealVal(0), above=YES) if value > 0 else Number(z3.RealVal(0), below=YES)
    return Number(constant(value), whole=value.is_integer())


MISSING = Number(z3.RealVal(0), nan=YES)


def at_most(lesser: Number, greater: Number) -> z3.BoolRef:
    """Compare as floats do: nothing is at most what is not a number."""
    holds = either(
        lesser.below,
        greater.above,
        z3.And(
            lesser.real <= greater.real,
            z3.Not(either(lesser.above, greater.below)),
        ),
    )
    unordered = either(lesser.nan, greater.nan)
    return holds if z3.is_false(unordered) else z3.And(holds, z3.Not(unordered))


def less_than(lesser: Number, greater: Number) -> z3.BoolRef:
    """Compare as floats do: nothing is less than what is not a number."""
    ordered = z3.Not(either(lesser.nan, greater.nan))
    return z3.And(z3.Not(at_most(greater, lesser)), ordered)


def under(number: Number, bound: float) -> z3.BoolRef:
    return _unless_nan(
        number, either(number.below, _real_only(number, number.real < constant(bound)))
    )


def over(number: Number, bound: float) -> z3.BoolRef:
    return _unless_nan(
        number, either(number.above, _real_only(number, number.real > constant(bound)))
    )


def _real_only(number: Number, holds: z3.BoolRef) -> z3.BoolRef:
    infinite = either(number.above, number.below)
    return holds if z3.is_false(infinite) else z3.And(holds, z3.Not(infinite))


def _unless_nan(number: Number, holds: z3.BoolRef) -> z3.BoolRef:
    return holds if z3.is_false(number.nan) else z3.And(holds, z3.Not(number.nan))


def choose(condition: z3.BoolRef, then: Number, otherwise: Number) -> Number:
    def flag(first: z3.BoolRef, second: z3.BoolRef) -> z3.BoolRef:
        return NO if z3.is_false(first) and z3.is_false(second) else z3.If(condition, first, second)

    return Number(
        z3.If(condition, then.real, otherwise.real),
        flag(then.nan, otherwise.nan),
        flag(then.above, otherwise.above),
        flag(then.below, otherwise.below),
        then.whole and otherwise.whole,
    )


def clip(number: Number, low: float, high: float) -> Number:
    """Bring a number between two finite bounds; what is not a number stays so."""
    least, greatest = constant(low), constant(high)
    real = z3.If(
        either(number.below, _real_only(number, number.real < least)),
        least,
        z3.If(
            either(number.above, _real_only(number, number.real > greatest)), greatest, number.real
        ),
    )
    whole = number.whole and low.is_integer() and high.is_integer()
    return Number(real, number.nan, whole=whole)


def size_of(number: Number) -> Number:
    """Give the absolute value."""
    real = z3.If(number.real < 0, -number.real, number.real)
    return Number(real, number.nan, either(number.above, number.below), whole=number.whole)


def at_least(number: Number, floor: float) -> Number:
    """Give the greater of a number and a floor; what is not a number stays so."""
    least = constant(floor)
    low = either(number.below, _real_only(number, number.real < least))
    whole = number.whole and floor.is_integer()
    return Number(z3.If(low, least, number.real), number.nan, number.above, whole=whole)


def round_down(number: Number) -> Number:
    if number.whole:
        return number
    real = z3.ToReal(z3.ToInt(number.real))
    return Number(real, number.nan, number.above, number.below, whole=True)


def round_up(number: Number) -> Number:
    if number.whole:
        return number
    real = -z3.ToReal(z3.ToInt(-number.real))
    return Number(real, number.nan, number.above, number.below, whole=True)


class Arithmetic:
    """The operations that round, and the facts that hold of what they gave."""

    def __init__(self, *, rounded: bool) -> None:
        self.rounded = rounded
        self.facts: list[z3.BoolRef] = []
        self.points: dict[int, tuple[z3.ArithRef, z3.ArithRef]] = {}
        # The numbers of the policy: each is a float, and so its own rounding.
        self.constants: set[Fraction] = set()

    def times(self, factor: float, number: Number) -> Number:
        if factor == 1:
            return number
        if factor == 0:
            infinite = either(number.above, number.below)
            return Number(constant(0.0), either(number.nan, infinite), whole=True)
        exact = constant(factor) * number.real
        whole = number.whole and factor.is_integer()
        real = self._product(exact, factor) if not whole else self._round_whole(exact)
        above, below = number.above, number.below
        if factor < 0:
            above, below = below, above
        high, low = self._overflows(exact, number) if abs(factor) > 1 else (NO, NO)
        return Number(real, number.nan, either(above, high), either(below, low), whole)

    def plus(self, number: Number, margin: float) -> Number:
        if margin == 0:
            return number
        exact = number.real + constant(margin)
        real = self._sum(exact, number, margin)
        whole = number.whole and margin.is_integer()
        high, low = self._overflows(exact, number) if abs(margin) >= SMALL else (NO, NO)
        return Number(
            real, number.nan, either(number.above, high), either(number.below, low), whole
        )

    def minus(self, first: Number, second: Number) -> Number:
        exact = first.real - second.real
        whole = first.whole and second.whole
        real = self._round_whole(exact) if whole else self._rounded(exact, digits_lost=False)
        high, low = self._overflows(exact, first, second)
        nan = either(
            first.nan, second.nan, both(first.above, second.above), both(first.below, second.below)
        )
        above, below = either(first.above, second.below), either(first.below, second.above)
        return Number(real, nan, either(above, high), either(below, low), whole)

    def add(self, first: Number, second: Number) -> Number:
        negative = Number(-second.real, second.nan, second.below, second.above, second.whole)
        return self.minus(first, negative)

    def divided(self, number: Number, by: float) -> Number:
        """Divide by a positive number."""
        if by == 1:
            return number
        exact = number.real / constant(by)
        real = self._product(exact, 1 / by)
        high, low = self._overflows(exact, number) if by < 1 else (NO, NO)
        return Number(real, number.nan, either(number.above, high), either(number.below, low))

    def _overflows(self, exact: z3.ArithRef, *numbers: Number) -> tuple[z3.BoolRef, z3.BoolRef]:
        infinite = either(*(flag for each in numbers for flag in (each.above, each.below)))
        high, low = exact >= constant_of(OVERFLOW), exact <= constant_of(-OVERFLOW)
        if z3.is_false(infinite):
            return high, low
        return z3.And(high, z3.Not(infinite)), z3.And(low, z3.Not(infinite))

    def _product(self, exact: z3.ArithRef, factor: float) -> z3.ArithRef:
        # A power of two moves the exponent alone, so that no digit is lost but of tiny numbers.
        scales = _is_power_of_two(factor)
        if scales and abs(factor) >= 1:
            return exact
        real = self._rounded(exact, digits_lost=True)
        if scales and self.rounded:
            large = z3.Or(exact >= constant_of(NORMAL), exact <= constant_of(-NORMAL))
            self.facts.append(z3.Implies(large, real == exact))
        return real

    def _sum(self, exact: z3.ArithRef, number: Number, margin: float) -> z3.ArithRef:
        if number.whole and margin.is_integer():
            return self._round_whole(exact)
        real = self._rounded(exact, digits_lost=False)
        if self.rounded:
            self.facts.append(z3.Implies(_fits(exact, number.real, margin), real == exact))
        return real

    def _round_whole(self, exact: z3.ArithRef) -> z3.ArithRef:
        """Round a whole number: below 2 to the 53rd there is nothing to round."""
        real = self._rounded(exact, digits_lost=False)
        if self.rounded:
            small = z3.And(exact <= WHOLE_UNTIL, exact >= -WHOLE_UNTIL)
            self.facts.append(z3.Implies(small, real == exact))
        return real

    def _rounded(self, exact: z3.ArithRef, *, digits_lost: bool) -> z3.ArithRef:
        if not self.rounded:
            return exact
        key = exact.get_id()
        if key not in self.points:
            # The same operation on the same numbers gives the same number each time.
            real = z3.Real(f"rounded.{len(self.points)}")
            self.points[key] = (exact, real)
            lost = constant_of(TINY) if digits_lost else 0
            less, more = constant_of(1 - UNIT), constant_of(1 + UNIT)
            self.facts += [
                z3.Implies(
                    exact >= 0,
                    z3.And(real >= 0, real >= less * exact - lost, real <= more * exact + lost),
                ),
                z3.Implies(
                    exact <= 0,
                    z3.And(real <= 0, real <= less * exact + lost, real >= more * exact - lost),
                ),
            ]
        return self.points[key][1]


def constant_of(value: Fraction) -> z3.ArithRef:
    return z3.RealVal(value)


def _is_power_of_two(value: float) -> bool:
    top = Fraction(abs(value))
    return top.numerator & (top.numerator - 1) == 0 and top.denominator & (top.denominator - 1) == 0


def _fits(exact: z3.ArithRef, number: z3.ArithRef, margin: float) -> z3.BoolRef:
    """Say that a sum needs no more digits than there are, and so is exact.

    Both of its parts are multiples of the number's last digit where that is not below the margin's
    own, and the sum is no longer than the number.
    """
    parts = Fraction(margin)
    last_digit = Fraction(parts.numerator & -parts.numerator, parts.denominator)
    size = z3.If(number < 0, -number, number)
    length = z3.If(exact < 0, -exact, exact)
    return z3.And(length <= size, size <= constant_of(last_digit * 2**52))
